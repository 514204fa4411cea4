"""`layerkit prune` as a command: what it says, refuses and leaves, on the stand-in for AWS."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aws_standin import Standin, serve
from aws_standin.clients import client
from estates import ACCOUNT, FRIEND, PATIENCE, Desk, Land, Quick, Witness, arn, doomed, entry
from layerkit.attach import record
from layerkit.attach.record import Attached, Place
from layerkit.aws.nouns import LayerVersion, Policy, Statement
from layerkit.operate import prune, report
from layerkit.operate.inventory import Inventory
from layerkit.operate.prune import Action, Terms, Verdict, plan, span, spared
from layerkit.operate.results import Status
from layerkit.operate.uses import holds
from layerkit.publish.journal import Journal
from operating import HOME, REGIONS, Office
from publishing import AWAY, CLIENT, as_client
from test_arns_tools import python as tools
from test_publish import AWS_CLI

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
TERMS = Terms(account=ACCOUNT, keep=1, now=NOW)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    as_client(monkeypatch)
    with serve(rate=0) as running:
        yield running


@pytest.fixture
def office(aws: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setenv("LAYERKIT_CACHE_DIR", str(tmp_path / "cache"))
    return Office.make(tmp_path / "office", aws)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "dist").mkdir()
    return Desk(folder=tmp_path / "dist", cache=tmp_path / "cache")


# The words


def judged(land: Land, terms: Terms = TERMS, published: tuple[str, ...] = (), rollbacks: tuple[str, ...] = ()) -> Any:
    """By the number of each version of `flask`: what is to become of it, and why."""
    every = land.made["flask"]
    inventory = Inventory(
        region=HOME,
        layers={"flask": tuple(every[number] for number in sorted(every, reverse=True))},
        functions=tuple(land.who),
        aliases={name: tuple(aliases) for name, aliases in land.names.items()},
        parameters=land.values,
    )
    named = [(one, "flask") for one in published]
    found = plan(inventory, holds(inventory, named, [(one, "api") for one in rollbacks]), terms)
    return {one.version.version: (str(one.action), *one.reasons) for one in found}


def flask(count: int = 3, **more: Any) -> Land:
    land = Land(name=HOME)
    for number in range(1, count + 1):
        land.add("flask", number, **more)
    return land


def test_the_newest_stay() -> None:
    assert judged(flask()) == {
        3: ("keep", "is the newest"),
        2: ("delete", "is not the newest", "nothing is known to use it"),
        1: ("delete", "is not the newest", "nothing is known to use it"),
    }
    assert judged(flask(4), replace(TERMS, keep=3)) == {
        4: ("keep", "is the newest"),
        3: ("keep", "is one of the 3 newest"),
        2: ("keep", "is one of the 3 newest"),
        1: ("delete", "is none of the 3 newest", "nothing is known to use it"),
    }


def test_each_set_of_tags_has_its_own_newest() -> None:
    land = flask(2)
    land.add("flask", 3, architectures=["x86_64"])
    land.add("flask", 4, runtimes=[], architectures=[])
    assert judged(land) == {
        4: ("keep", "is the newest with no tags"),
        3: ("keep", "is the newest with python3.12 x86_64"),
        2: ("keep", "is the newest with python3.12 arm64"),
        1: ("delete", "is not the newest", "nothing is known to use it"),
    }


def test_what_uses_a_version_is_told_by_name() -> None:
    land, one = flask(2), arn(HOME, "flask", 1)
    for version in ("1", "3", "$LATEST"):
        land.use("api", version, arn(HOME, "other", 1), one)
    land.use("jobs", "$LATEST", one)
    land.use("mail", "$LATEST", arn(HOME, "flask", 12))
    land.alias("api", "live", "3", v1=0.1)
    land.alias("api", "next", "3")
    land.values = {"/layers/flask/python3.12/arm64/latest": one, "/list": f"x,{one}", "/near": f"{one}2"}
    assert judged(land, published=(one,), rollbacks=(one,))[1] == (
        "keep",
        "is used by function api ($LATEST; version 3, aliases live, next; version 1, alias live)",
        "is used by function jobs ($LATEST)",
        "SSM /layers/flask/python3.12/arm64/latest points to it",
        "SSM /list points to it",
        "published.json names it",
        "a rollback of function api needs it",
    )


def test_many_users_are_counted() -> None:
    land, one = flask(2), arn(HOME, "flask", 1)
    for number in range(7):
        land.values[f"/p/{number}"] = one
        land.use(f"f{number}", "$LATEST", one)
    for number in range(1, 9):
        land.use("f0", str(number), one)
    reasons = judged(land)[1]
    assert reasons[1] == ("is used by function f0 ($LATEST; version 8; version 7; version 6; version 5; and 4 more)")
    assert [reason for reason in reasons if "more" in reason][1:] == [
        "is used by 2 more functions", "is pointed to by 2 more SSM parameters",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ("{1}", True),
        ("{1}\n", True),
        ("{2}, {1}", True),
        ('{{"flask": "{1}", "size": 3}}', True),
        ('["{2}","{1}"]', True),
        ("{2};{1};{2}", True),
        ("{1}2", False),
        ("{1}0", False),
        ("{2}", False),
        ("arn:aws:lambda:us-east-1:123456789012:layer:flask", False),
        ("arn:aws:lambda:us-east-1:123456789012:layer:my-flask:1", False),
        ("arn:aws:lambda:eu-west-1:123456789012:layer:flask:1", False),
        ("arn:aws:lambda:us-east-1:210987654321:layer:flask:1", False),
    ],
)
def test_what_a_parameter_says(value: str, held: bool) -> None:
    land = flask(3)
    land.values["/p"] = value.format(None, arn(HOME, "flask", 1), arn(HOME, "flask", 2))
    assert judged(land)[1][0] == ("keep" if held else "delete")


def test_young_versions_stay_and_those_whose_age_is_not_known() -> None:
    land = flask(4)
    times = {1: "2026-03-27T10:00:00.000+0000", 2: "yesterday", 3: "2026-03-31T11:30:00.000+0000", 4: "2026-03-31"}
    for number, created in times.items():
        land.made["flask"][number] = replace(land.made["flask"][number], created=created)
    month = replace(TERMS, older_than=timedelta(days=30))
    assert judged(land, month) == {
        4: ("keep", "is the newest", "nobody can say how old it is (it was made '2026-03-31')"),
        3: ("keep", "was made less than an hour ago"),
        2: ("keep", "nobody can say how old it is (it was made 'yesterday')"),
        1: ("keep", "was made 4 days ago"),
    }
    days = replace(TERMS, older_than=timedelta(days=4))
    assert judged(land, days)[1] == (
        "delete",
        "is not the newest",
        "was made 4 days ago",
        "nothing is known to use it",
    )
    assert judged(land)[2][0] == "delete"  # without --older-than no age matters


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (timedelta(seconds=-5), "less than an hour"),
        (timedelta(minutes=59), "less than an hour"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=47), "47 hours"),
        (timedelta(hours=48), "2 days"),
        (timedelta(days=400), "400 days"),
    ],
)
def test_spans(age: timedelta, said: str) -> None:
    assert span(age) == said


@pytest.mark.parametrize(
    ("name", "goes"),
    [
        ("/layers/flask/python3.12/arm64/1", True),
        ("/flask/python3.12/x86_64/1", True),
        ("/a/b/flask/python3.9/arm64/1", True),
        ("/layers/flask/python3.12/arm64/latest", False),
        ("/layers/flask/python3.12/arm64/2", False),
        ("/layers/flask/python3.12/mips/1", False),
        ("/layers/other/python3.12/arm64/1", False),
        ("/layers/flask/arm64/1", False),
        ("/layers/flask/python3.12/arm64/1/1", False),
    ],
)
def test_which_parameters_are_layerkits_own(name: str, goes: bool) -> None:
    land = flask(2)
    land.values[name] = arn(HOME, "flask", 1)
    assert judged(land)[1][0] == "keep"
    dropping = replace(TERMS, drop_parameters=True)
    assert judged(land, dropping)[1][0] == ("delete" if goes else "keep")
    land.values[name] += ","  # it says something else, too
    assert judged(land, dropping)[1][0] == "keep"


def version(land: Land, number: int) -> LayerVersion:
    return land.made["flask"][number]


def test_who_else_may_use_a_version() -> None:
    land = flask(5)
    verdicts = [Verdict(version=version(land, n), action=Action.DELETE, reasons=("old",)) for n in (1, 2, 3, 4)]
    verdicts.append(Verdict(version=version(land, 5), action=Action.KEEP, reasons=("is the newest",)))
    friend = Statement(sid=f"layerkit-account-{FRIEND}", principal=FRIEND)
    public = Statement(sid="mine", principal="*")
    own = Statement(sid="own", principal=ACCOUNT)
    every = {1: (friend,), 2: (public, friend), 3: (own,), 5: (friend,)}
    policies = {arn(HOME, "flask", number): Policy(statements=found) for number, found in every.items()}
    end = ": what uses it there cannot be seen (--shared deletes it all the same)"
    found = {one.version.version: (one.action, *one.reasons) for one in spared(verdicts, policies, ACCOUNT)}
    assert found == {
        1: (Action.KEEP, f"is shared with account {FRIEND}{end}"),
        2: (Action.KEEP, f"is shared with statement 'mine' (public), account {FRIEND}{end}"),
        3: (Action.DELETE, "old"),
        4: (Action.DELETE, "old"),
        5: (Action.KEEP, "is the newest"),
    }


def test_a_plan_that_keeps_nothing_is_none() -> None:
    with pytest.raises(ValueError, match="at least the newest version is kept"):
        judged(flask(), replace(TERMS, keep=0))


# A whole run


def furnish(office: Office) -> None:
    """Six versions of flask: of the old ones, each but the first has another reason to stay."""
    made = office.publish("flask", 6)
    office.aws.make_function(HOME, "api", [made[5]], versions=[[made[1]]])
    office.aws.make_alias(HOME, "api", "live", "1")
    office.parameter("/layers/flask/python3.12/arm64/latest", made[2])
    one = LayerVersion(name="flask", version=4, arn=made[3], runtimes=("python3.12",), architectures=("arm64",))
    office.record(entry(one, HOME))
    (office.folder / "dist" / record.NAME).write_bytes(
        record.render({
            Place(account=ACCOUNT, region=HOME, function="api"): (
                Attached(when="2026-01-02T03:04:05Z", before=(made[4],), after=(made[5],), done=True),
            )
        })
    )  # fmt: skip
    office.publish("flask", 2, AWAY)
    office.publish("wsgi-layer", 2, AWAY)


PLAN = """\
us-east-1       flask 6  keep    is the newest; is used by function api ($LATEST)
us-east-1       flask 5  keep    a rollback of function api needs it
us-east-1       flask 4  keep    published.json names it
us-east-1       flask 3  keep    SSM /layers/flask/python3.12/arm64/latest points to it
us-east-1       flask 2  keep    is used by function api (version 1, alias live)
us-east-1       flask 1  delete  is not the newest; nothing is known to use it
us-east-1       wsgi-layer  has no version there
eu-west-1       flask 2       keep    is the newest
eu-west-1       flask 1       delete  is not the newest; nothing is known to use it
eu-west-1       wsgi-layer 2  keep    is the newest
eu-west-1       wsgi-layer 1  delete  is not the newest; nothing is known to use it
"""


def test_what_nobody_needs_goes_and_every_other_version_has_its_reason(office: Office) -> None:
    furnish(office)
    first = office.run("prune", "--keep", "1")
    assert first.status == 0
    assert first.err.startswith(PLAN)
    assert f"{HOME:14}  flask 1  deleted\n" in first.err
    assert "\n3 versions deleted in 2 regions; " in first.err
    assert first.out == ""
    assert office.numbers("flask") == [2, 3, 4, 5, 6]
    assert (office.numbers("flask", AWAY), office.numbers("wsgi-layer", AWAY)) == ([2], [2])
    writes = len(office.aws.writes())
    second = office.run("prune", "--keep", "1")
    assert second.status == 0
    assert "\n0 versions deleted in 0 regions; " in second.err
    assert len(office.aws.writes()) == writes


def test_the_json_has_everything(office: Office) -> None:
    furnish(office)
    dry = office.run("prune", "--keep", "1", "--dry-run", "--json")
    done = office.run("prune", "--keep", "1", "--json")
    assert (dry.status, done.status, dry.err, done.err) == (0, 0, "", "")
    plan, result = dry.json, done.json
    assert {key: result[key] for key in ("schema_version", "ok", "account", "dry_run", "deleted", "failed")} == {
        "schema_version": 1, "ok": True, "account": ACCOUNT, "dry_run": False, "deleted": 3, "failed": 0,
    }  # fmt: skip
    assert [one["region"] for one in result["regions"]] == list(REGIONS)
    first = result["regions"][0]["versions"][-1]
    assert {key: first[key] for key in ("name", "version", "arn", "action", "status", "reasons")} == {
        "name": "flask", "version": 1, "arn": arn(HOME, "flask", 1), "action": "delete", "status": "deleted",
        "reasons": ["is not the newest", "nothing is known to use it"],
    }  # fmt: skip
    assert first["runtimes"] == ["python3.12"]
    storage = result["regions"][0]["storage"]
    assert storage["before"]["used"] > storage["after"]["used"] > 0

    def chosen(facts: Any) -> list[tuple[str, str]]:
        return [(one["arn"], one["action"]) for region in facts["regions"] for one in region["versions"]]

    assert chosen(plan) == chosen(result)
    assert {one["status"] for region in plan["regions"] for one in region["versions"]} == {None}


def test_a_dry_run_prints_the_plan_and_changes_nothing(office: Office) -> None:
    furnish(office)
    writes = len(office.aws.writes())
    said = office.run("prune", "--keep", "1", "--dry-run")
    assert said.status == 0
    assert said.err.startswith(PLAN)
    assert "plan, nothing is done: 3 to delete and 7 to keep in 2 regions; " in said.err
    assert len(office.aws.writes()) == writes


def test_ages_and_tags(office: Office) -> None:
    office.publish("flask", 2)
    office.publish("flask", 2, CompatibleRuntimes=["python3.13"], CompatibleArchitectures=["x86_64"])
    office.age("flask", 1, "2020-01-02T03:04:05.678+0000")
    said = office.run("prune", "flask", "--keep", "1", "--older-than", "30d", "--region", HOME)
    assert said.status == 0
    assert "flask 3  keep    was made less than an hour ago" in said.err
    assert "flask 2  keep    is the newest with python3.12 arm64" in said.err
    assert office.numbers("flask") == [2, 3, 4]


def test_shared_versions_need_a_word_more(office: Office) -> None:
    office.publish("flask", 2)
    client(office.aws).add_layer_version_permission(
        LayerName="flask", VersionNumber=1, StatementId="x", Action="lambda:GetLayerVersion", Principal=FRIEND
    )
    asked = ("prune", "flask", "--keep", "1", "--region", HOME)
    said = office.run(*asked)
    assert said.status == 0
    assert f"keep    is shared with statement 'x' (account {FRIEND}): what uses it there cannot be seen" in said.err
    assert office.numbers("flask") == [1, 2]
    assert "1 version deleted in 1 region" in office.run(*asked, "--shared").err
    assert office.numbers("flask") == [2]


def test_a_numbered_parameter_goes_with_its_version(office: Office) -> None:
    made = office.publish("flask", 2)
    for name, value in (("1", made[0]), ("2", made[1]), ("latest", made[1])):
        office.parameter(f"/layers/flask/python3.12/arm64/{name}", value)
    asked = ("prune", "flask", "--keep", "1", "--region", HOME)
    said = office.run(*asked)
    assert "keep    SSM /layers/flask/python3.12/arm64/1 points to it" in said.err
    said = office.run(*asked, "--drop-parameters")
    assert said.status == 0
    assert "  with the parameter /layers/flask/python3.12/arm64/1\n" in said.err
    assert set(office.aws.parameters(HOME)) == {f"/layers/flask/python3.12/arm64/{name}" for name in ("2", "latest")}
    assert [one.operation for one in office.aws.writes()[-2:]] == ["DeleteParameter", "DeleteLayerVersion"]


def test_where_parameters_are_looked_at(office: Office) -> None:
    made = office.publish("flask", 4)
    for at, name in enumerate(("/a/x", "/b/x", "/ab/x")):
        office.parameter(name, made[at])
    asked = ("prune", "flask", "--keep", "1", "--region", HOME)
    assert office.run(*asked, "--dry-run").err.count(" points to it") == 3
    assert office.run(*asked, "--parameters", "/a", "--parameters", "/b/").status == 0
    assert office.numbers("flask") == [1, 2, 4]
    said = office.run(*asked, "--no-parameters")
    assert "SSM is not looked at" in said.err
    assert office.numbers("flask") == [4]


@pytest.mark.integration
def test_the_aws_cli_sees_what_is_left(office: Office) -> None:
    furnish(office)
    assert office.run("prune", "--keep", "1").status == 0

    def asked(*arguments: str) -> Any:
        given = [str(tools("aws", AWS_CLI) / "aws"), *arguments, "--output", "json", "--endpoint-url", office.aws.url]
        done = subprocess.run(given, env=os.environ | CLIENT, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    for region, numbers in ((HOME, [6, 5, 4, 3, 2]), (AWAY, [2])):
        found = asked("lambda", "list-layer-versions", "--layer-name", "flask", "--region", region)
        assert [one["Version"] for one in found["LayerVersions"]] == numbers
    told = asked("lambda", "get-layer-version-by-arn", "--arn", arn(HOME, "flask", 2), "--region", HOME)
    assert told["Version"] == 2  # what the alias's version of the function has


# What cannot be read or done


def denied(aws: Standin, operation: str, region: str = "", resource: str = "") -> None:
    words = f"AccessDeniedException:User x is not authorized to perform: {operation}"
    aws.fault(operation, words, times=99, region=region, resource=resource)


@pytest.mark.parametrize(
    ("operation", "cure"),
    [
        ("ListFunctions", "allow lambda:ListFunctions to these credentials"),
        ("GetParametersByPath", "--no-parameters looks nowhere, and protects nothing there"),
        ("ListLayerVersions", "allow lambda:ListLayerVersions to these credentials"),
        ("GetLayerVersionPolicy", "allow lambda:GetLayerVersionPolicy to these credentials"),
    ],
)
def test_nothing_goes_where_something_that_protects_cannot_be_read(operation: str, cure: str, office: Office) -> None:
    furnish(office)
    denied(office.aws, operation, region=HOME)
    said = office.run("prune", "--keep", "1")
    assert said.status == 18
    assert f"{HOME:14}  failed  {operation}: AccessDeniedException: " in said.err
    assert "; nothing is deleted there\n" in said.err
    assert cure in said.err
    assert "2 versions deleted in 1 region, 1 region failed; " in said.err
    assert office.numbers("flask") == [1, 2, 3, 4, 5, 6]
    assert office.numbers("flask", AWAY) == [2]
    denied(office.aws, operation)
    said = office.run("prune", "--keep", "1", "--json")
    assert (said.status, said.json["ok"], said.json["deleted"]) == (
        17 if operation != "GetLayerVersionPolicy" else 18,
        False,
        0,
    )


def test_who_may_not_read_aliases_prunes_all_the_same(office: Office) -> None:
    furnish(office)
    denied(office.aws, "ListAliases")
    said = office.run("prune", "--keep", "1")
    assert said.status == 0
    assert "flask 2  keep    is used by function api (version 1)\n" in said.err


def test_a_version_that_cannot_be_deleted_stops_no_other(office: Office) -> None:
    office.publish("flask", 4)
    denied(office.aws, "DeleteLayerVersion", resource="flask:2")
    denied(office.aws, "DeleteLayerVersion", resource="flask/versions/2")
    said = office.run("prune", "flask", "--keep", "1", "--region", HOME)
    assert said.status == 18
    assert f"{HOME:14}  flask 2  failed  DeleteLayerVersion: AccessDeniedException: " in said.err
    assert "2 versions deleted in 1 region, 1 failed; " in said.err
    assert office.numbers("flask") == [2, 4]
    again = office.run("prune", "flask", "--keep", "1", "--region", HOME, "--quiet")
    assert again.status == 17
    assert again.err.startswith(f"warning: {HOME}: flask 2 is not deleted: DeleteLayerVersion: AccessDenied")
    assert "(to do: allow lambda:DeleteLayerVersion to these credentials)" in again.err


def test_credentials_that_expire_end_the_run(office: Office) -> None:
    office.publish("flask", 4)
    office.aws.fault("DeleteLayerVersion", "expired", times=99, after=1)
    said = office.run("prune", "flask", "--keep", "1", "--region", HOME)
    assert said.status == 18
    assert "1 version deleted in 1 region, 2 failed; " in said.err
    assert len(office.numbers("flask")) == 3
    assert len(office.aws.calls("DeleteLayerVersion")) == 2


def test_what_came_into_use_meanwhile_is_told(desk: Desk) -> None:
    land = flask(4)

    def meanwhile() -> None:
        land.use("api", "$LATEST", arn(HOME, "flask", 1))
        land.share(arn(HOME, "flask", 2))
        del land.made["flask"][3]

    says = Witness(meanwhile)
    result = desk.prune([land], "flask", says=says)
    assert {one.version.version: one.status for region in result.regions for one in region.outcomes} == {
        1: Status.KEPT, 2: Status.KEPT, 3: Status.GONE,
    }  # fmt: skip
    assert "flask 1  kept  meanwhile: is used by function api ($LATEST)\n" in says.said
    assert f"flask 2  kept  meanwhile: is shared with account {FRIEND}: what uses it" in says.said
    assert "flask 3  gone  was deleted meanwhile\n" in says.said
    assert report.summary(result) == "0 versions deleted in 0 regions, 2 kept after all, 1 gone already"
    assert report.failure(result) is None


def test_a_new_numbered_parameter_is_not_deleted_unseen(desk: Desk) -> None:
    land = flask(2)
    name = "/layers/flask/python3.12/arm64/1"
    says = Witness(lambda: land.values.update({name: arn(HOME, "flask", 1)}))
    desk.prune([land], "flask", says=says, drop_parameters=True)
    assert f"kept  meanwhile: SSM {name} points to it" in says.said
    assert (len(land.arns), set(land.values)) == (2, {name})


def test_a_region_that_goes_down_in_the_middle_is_left_alone(desk: Desk) -> None:
    here, there = flask(5), Land(name=AWAY)
    for number in (1, 2):
        there.add("flask", number)
    here.script["DeleteLayerVersion"] = ["", *["down"] * 99]
    says = Witness()
    result = desk.prune([here, there], "flask", says=says)
    assert len(here.arns) == 4
    assert len(there.arns) == 1
    assert here.calls.count("DeleteLayerVersion") < 2 * PATIENCE
    assert f"{HOME:14}  flask 3  failed  not tried: DeleteLayerVersion: down: the script says down\n" in says.said
    assert report.summary(result) == "2 versions deleted in 2 regions, 3 failed"


def test_what_failed_for_one_reason_is_told_in_one_line(desk: Desk) -> None:
    land, says = flask(5), Witness()
    land.script["DeleteLayerVersion"] = ["", *["down"] * 99]
    result = desk.prune([land], "flask", says=says)
    assert list(report.problems(result.regions[0])) == [
        f"{HOME}: flask 2 is not deleted: DeleteLayerVersion: down: the script says down (to do: cure down)",
        f"{HOME}: flask 3, flask 4 are not deleted: not tried: DeleteLayerVersion: down: the script says down "
        "(to do: cure down)",
    ]
    assert says.said.count("  To do: cure down\n") == 1


def test_a_parameter_that_is_gone_is_told_though_its_version_stays(desk: Desk) -> None:
    land, says = flask(2), Witness()
    name = "/layers/flask/python3.12/arm64/1"
    land.values[name] = arn(HOME, "flask", 1)
    land.script["DeleteLayerVersion"] = ["denied"]
    result = desk.prune([land], "flask", says=says, drop_parameters=True)
    assert (len(land.arns), land.values) == (2, {})
    end = f"; the parameter {name} is deleted already"
    assert f"flask 1  failed  DeleteLayerVersion: denied: the script says denied{end}\n" in says.said
    assert end in next(report.problems(result.regions[0]))


def test_a_deletion_whose_answer_is_lost_is_made_again(desk: Desk) -> None:
    land = flask(3)
    land.script["DeleteLayerVersion"] = ["lost after", "throttled", "lost"]
    result = desk.prune([land], "flask")
    assert (result.count(Status.DELETED), len(land.arns)) == (2, 1)


# What is asked wrongly


def test_names(office: Office) -> None:
    furnish(office)
    office.publish("undeclared", 2)
    assert office.run("prune", "wsgi", "--keep", "1", "--dry-run").err.count("wsgi-layer ") == 3
    assert "undeclared 1  delete" in office.run("prune", "undeclared", "--keep", "1", "--dry-run").err
    said = office.run("prune", "undeclard", "flask", "--keep", "1")
    assert said.status == 3
    assert "has no such layer\n  'undeclard'; did you mean 'undeclared'?\n  To do: " in said.err
    said = office.run("prune", "fl ask", "--keep", "1")
    assert said.status == 3
    assert "'fl ask' cannot be the name of a layer; did you mean 'flask'?" in said.err
    assert "To do: give its key in layers.yaml, or its name in AWS, without the rest of an ARN" in said.err
    (office.folder / "layers.yaml").unlink()
    said = office.run("prune", "--keep", "1")
    assert said.status == 3
    assert "or name the layers: layerkit list --all tells them" in said.err
    assert (
        "undeclared 1  delete" in office.run("prune", "undeclared", "--keep", "1", "--region", HOME, "--dry-run").err
    )
    assert office.aws.writes()[-1].operation == "PublishLayerVersion"


def test_a_name_that_a_region_which_failed_may_have_is_no_mistake(office: Office) -> None:
    office.publish("undeclared", 2, AWAY)
    denied(office.aws, "ListLayerVersions", region=AWAY)
    said = office.run("prune", "undeclared", "--keep", "1")
    assert said.status == 18
    assert f"{HOME:14}  undeclared  has no version there" in said.err


@pytest.mark.parametrize("name", ["published.json", "attached.json"])
def test_damaged_records_keep_everything(name: str, office: Office) -> None:
    furnish(office)
    (office.folder / "dist" / name).write_text("{")
    writes = len(office.aws.writes())
    said = office.run("prune", "--keep", "1")
    assert said.status == 9
    assert "is damaged, and is left as it is" in said.err
    assert len(office.aws.writes()) == writes


def test_without_published_json_it_is_said(office: Office) -> None:
    office.publish("flask", 1)
    said = office.run("prune", "flask", "--keep", "1")
    assert "dist has no published.json, so nothing is known to be named there" in said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing option '--keep'"),
        (["--keep", "0"], "0 is not in the range x>=1"),
        (["--keep", "1", "--older-than", "30"], "'30' is no time span; write it as 12h, 30d or 8w."),
        (["--keep", "1", "--older-than", "-3d"], "is no time span"),
        (["--keep", "1", "--older-than", "999999d"], "is no time span"),
        (["--keep", "1", "--region", "eu-west-1", "--all-regions"], "exclude each other"),
        (["--keep", "1", "--parameters", "/a", "--no-parameters"], "exclude each other"),
        (["--keep", "1", "--drop-parameters", "--no-parameters"], "exclude each other"),
    ],
)
def test_options_that_are_none(arguments: list[str], words: str, office: Office) -> None:
    said = office.run("prune", *arguments)
    assert said.status == 2
    assert words in said.err
    assert office.aws.log == []


def test_a_prefix_that_is_none(office: Office) -> None:
    said = office.run("prune", "--keep", "1", "--parameters", "layers")
    assert said.status == 3
    assert "--parameters" in said.err
    assert office.aws.log == []


# A terminal, signals, others


INTERRUPT, END = "\x03", "\x04"  # Ctrl-C, Ctrl-D


def asked(office: Office, answer: str, *arguments: str) -> tuple[int, str]:
    """A run at a terminal, and what it said there."""
    control, terminal = pty.openpty()
    process = office.start(
        "prune", "flask", "--keep", "1", "--region", HOME, *arguments, stdin=terminal, stderr=terminal,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    os.close(terminal)
    said = b""
    silences = 0
    while silences < 6:
        # what comes between the question and the read that waits for its answer may be lost: then, and only then,
        # nothing follows, and it has to be sent again
        if answer and said.endswith(b"[y/N]: "):
            if answer == INTERRUPT:
                process.send_signal(signal.SIGINT)
            else:
                os.write(control, answer.encode())
        if not select.select([control], [], [], 10)[0]:
            silences += 1
            continue
        try:
            said += os.read(control, 4096)
        except OSError:  # the terminal's other end is closed
            break
    process.communicate(timeout=60)
    os.close(control)
    return process.returncode, said.decode()


def test_somebody_at_a_terminal_is_asked(office: Office) -> None:
    office.publish("flask", 3)
    status, said = asked(office, "n\n")
    assert (status, office.numbers("flask")) == (0, [1, 2, 3])
    assert f"delete 2 versions of account {ACCOUNT} in 1 region, for ever? [y/N]: " in said
    assert "nothing is deleted: 2 to delete and 1 to keep in 1 region" in said
    status, said = asked(office, "y\n")
    assert (status, office.numbers("flask")) == (0, [3])
    office.publish("flask", 1)
    status, said = asked(office, "", "--yes")
    assert (status, office.numbers("flask")) == (0, [4])
    assert "for ever?" not in said
    status, said = asked(office, "")  # nothing to ask for
    assert status == 0


@pytest.mark.parametrize("answer", [INTERRUPT, END])
def test_no_answer_is_a_no_and_is_told(answer: str, office: Office) -> None:
    office.publish("flask", 3)
    status, said = asked(office, answer)
    assert (status, office.numbers("flask")) == (130, [1, 2, 3])
    assert "there was no answer: nothing is deleted" in said
    assert "Traceback" not in said


def test_who_is_asked_sees_what_would_go_even_quietly(office: Office) -> None:
    office.publish("flask", 3)
    status, said = asked(office, "n\n", "--quiet")
    assert status == 0
    before, question, _ = said.partition("for ever?")
    assert question
    for number in (1, 2):
        assert f"flask {number}  delete  is not the newest; nothing is known to use it" in before
    assert "flask 3" not in said


def test_the_json_of_an_interrupted_run_says_what_is_deleted(office: Office) -> None:
    office.publish("flask", 10)
    office.aws.fault("DeleteLayerVersion", "slow-after:0.2", times=99)
    process = office.start(
        "prune", "flask", "--keep", "1", "--region", HOME, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not office.aws.calls("DeleteLayerVersion"):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    result = json.loads(out)
    assert (result["ok"], result["interrupted"]) == (False, True)
    every = {one["version"]: one["status"] for one in result["regions"][0]["versions"]}
    left = office.numbers("flask")
    assert {number for number, status in every.items() if status == "deleted"} == {*range(1, 11)} - {*left}
    assert 1 < len(left) < 10


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_stops_between_calls_and_tells_what_it_did(how: signal.Signals, office: Office) -> None:
    office.publish("flask", 10)
    office.aws.fault("DeleteLayerVersion", "slow-after:0.2", times=99)
    process = office.start("prune", "flask", "--keep", "1", "--region", HOME, stderr=subprocess.PIPE)
    while not office.aws.calls("DeleteLayerVersion"):
        time.sleep(0.005)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "interrupted; what was deleted, if anything, is gone; running it again does the rest" in said
    left = office.numbers("flask")
    assert 1 < len(left) < 10
    assert said.count("  deleted\n") == 10 - len(left)
    assert "not tried: interrupted" in said
    assert said.count("To do: run it again") == 1
    office.aws.clear()
    assert office.run("prune", "flask", "--keep", "1", "--region", HOME).status == 0
    assert office.numbers("flask") == [10]


def test_runs_on_one_machine_take_turns(office: Office, tmp_path: Path) -> None:
    office.publish("flask", 2)
    with Journal.open(tmp_path / "cache" / "journal", ACCOUNT, HOME, endpoint=office.aws.url):
        done: list[Any] = []
        waiting = threading.Thread(target=lambda: done.append(prune_in_thread(office)))
        waiting.start()
        while not office.aws.calls("GetLayerVersionPolicy"):
            time.sleep(0.005)
        waiting.join(0.3)
        assert waiting.is_alive()
        assert office.numbers("flask") == [1, 2]
    waiting.join()
    assert done[0].status == 0
    assert "another layerkit is at work there; waiting for it" in done[0].err
    assert office.numbers("flask") == [2]


def prune_in_thread(office: Office) -> Any:
    return office.run("prune", "flask", "--keep", "1", "--region", HOME)


def test_stopping_before_anything_is_read(desk: Desk) -> None:
    land, stop = flask(3), Quick()
    stop.throw("interrupted", interrupted=True)
    with pytest.raises(KeyboardInterrupt):
        desk.prune([land], "flask", stop=stop)
    assert (land.calls, len(land.arns)) == ([], 3)


def test_the_plan_is_agreed_upon_first(desk: Desk) -> None:
    land, says = flask(3), Witness(agrees=False)
    result = desk.prune([land], "flask", says=says)
    assert (result.refused, len(land.arns)) == (True, 3)
    assert doomed(says.plan) == {arn(HOME, "flask", number) for number in (1, 2)}
    assert prune.doomed(result.regions[0].verdicts) == result.regions[0].doomed
