"""`layerkit list`: what is published and who uses it, on the stand-in for AWS, and over accounts in memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_standin import Standin, serve
from estates import ACCOUNT, Land, Owner, Quick, Witness, arn, entry
from layerkit.errors import ConfigError, DonePartly, OperationFailed
from layerkit.operate import listing, pipeline
from layerkit.operate.request import ListRequest
from layerkit.operate.results import Listing
from layerkit.operate.uses import Kind
from layerkit.publish import published as records
from operating import HOME, REGIONS, Office
from publishing import AWAY, CLIENT, as_client
from test_arns_tools import python as tools
from test_prune import denied, furnish
from test_publish import AWS_CLI

ROOM = ("code", "storage:", "0", "B", "of", "80", "GB", "used")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    as_client(monkeypatch)
    with serve(rate=0) as running:
        yield running


@pytest.fixture
def office(aws: Standin, tmp_path: Path) -> Office:
    return Office.make(tmp_path / "office", aws)


def listed(lands: list[Land], output: Path, *layers: str, says: Witness | None = None, **asked: Any) -> Listing:
    owner = Owner(lands={land.name: land for land in lands})
    request = ListRequest(file=output / "none.yaml", output=output, layers=layers, all_regions=True, **asked)
    return pipeline.list_(request, lambda _: owner, says or Witness(), Quick())


def shown(found: Listing) -> list[tuple[str, str, int, list[str]]]:
    """Region, layer, version, and what holds it."""
    return [
        (region.region, layer.name, one.version.version, [str(hold) for hold in one.holds])
        for region in found.regions
        for layer, versions in region.layers
        for one in versions
    ]


def test_the_table(office: Office) -> None:
    furnish(office)
    for number in range(1, 7):
        office.age("flask", number, f"2026-01-0{number}T03:04:05.678+0000")
    said = office.run("list", "--region", HOME)
    assert said.status == 0
    lines = said.out.splitlines()
    assert [re.sub(r"\b1[23]\d B", "SIZE", " ".join(line.split())) for line in lines[:8]] == [
        "region layer version made runtimes architectures size who holds it",
        f"{HOME} flask 6 2026-01-06 python3.12 arm64 SIZE is the newest; is used by function api ($LATEST)",
        f"{HOME} flask 5 2026-01-05 python3.12 arm64 - a rollback of function api needs it",
        f"{HOME} flask 4 2026-01-04 python3.12 arm64 1.23 kB published.json names it",
        f"{HOME} flask 3 2026-01-03 python3.12 arm64 - SSM /layers/flask/python3.12/arm64/latest points to it",
        f"{HOME} flask 2 2026-01-02 python3.12 arm64 SIZE is used by function api (version 1, alias live)",
        f"{HOME} flask 1 2026-01-01 python3.12 arm64 - nobody known",
        f"{HOME} wsgi-layer none",
    ]
    assert lines[8] == ""
    assert lines[9].startswith(f"{HOME}: code storage: ")
    assert office.aws.writes()[-1].operation == "PublishLayerVersion"


def test_what_nobody_holds(office: Office) -> None:
    furnish(office)
    said = office.run("list", "--unused", "--json")
    assert {
        (region["region"], layer["name"], one["version"])
        for region in said.json["regions"]
        for layer in region["layers"]
        for one in layer["versions"]
    } == {(HOME, "flask", 1), (AWAY, "flask", 1), (AWAY, "wsgi-layer", 1)}


def test_the_json(office: Office) -> None:
    furnish(office)
    said = office.run("list", "--json", "--sizes")
    assert (said.status, said.err) == (0, "")
    facts = said.json
    assert (facts["schema_version"], facts["ok"], facts["account"]) == (1, True, ACCOUNT)
    assert [one["region"] for one in facts["regions"]] == list(REGIONS)
    home = facts["regions"][0]
    assert set(home["storage"]) == {"used", "limit"}
    assert [(one["layer"], one["name"], len(one["versions"])) for one in home["layers"]] == [
        ("flask", "flask", 6), ("wsgi", "wsgi-layer", 0),
    ]  # fmt: skip
    second = home["layers"][0]["versions"][4]
    assert second["arn"] == arn(HOME, "flask", 2)
    assert second["holds"] == [
        {"kind": "function", "who": "api", "versions": [{"version": "1", "aliases": ["live"]}]}
    ]
    assert all(one["size"] for layer in home["layers"] for one in layer["versions"])
    assert [one["newest"] for one in home["layers"][0]["versions"]] == [True, False, False, False, False, False]


def test_every_layer_of_the_account(office: Office) -> None:
    office.publish("wsgi-layer", 1)
    office.publish("somebody-elses", 2)
    (office.folder / "dist").mkdir()
    said = office.run("list", "--all", "--region", HOME, "--json")
    found = [(one["layer"], one["name"]) for one in said.json["regions"][0]["layers"]]
    assert found == [(None, "somebody-elses"), ("wsgi", "wsgi-layer")]
    (office.folder / "layers.yaml").unlink()
    said = office.run("list", "--all", "--region", HOME)
    assert said.status == 0
    assert "somebody-elses" in said.out
    said = office.run("list", "--region", HOME)
    assert said.status == 3  # nothing is declared
    assert office.run("list", "wsgi", "--all").status == 2


@pytest.mark.integration
def test_the_aws_cli_lists_the_same(office: Office) -> None:
    furnish(office)
    office.publish("undeclared", 55)  # more than a page
    ours = office.run("list", "--all", "--json").json
    for region in ours["regions"]:
        for layer in region["layers"]:
            command = [
                str(tools("aws", AWS_CLI) / "aws"),
                "lambda",
                "list-layer-versions",
                "--layer-name",
                layer["name"],
            ]
            command += ["--region", region["region"], "--endpoint-url", office.aws.url, "--output", "json"]
            done = subprocess.run(command, env=os.environ | CLIENT, capture_output=True, text=True, check=True)
            theirs = [one["LayerVersionArn"] for one in json.loads(done.stdout)["LayerVersions"]]
            assert [one["arn"] for one in layer["versions"]] == theirs
    assert {layer["name"] for layer in ours["regions"][0]["layers"]} == {"flask", "undeclared"}


def test_what_cannot_be_read_is_told_and_the_rest_is_listed(office: Office) -> None:
    furnish(office)
    denied(office.aws, "ListFunctions", region=HOME)
    denied(office.aws, "ListLayerVersions", region=AWAY)
    said = office.run("list")
    assert said.status == 18
    assert f"warning: {HOME}: ListFunctions: AccessDeniedException: " in said.err
    assert "(to do: allow lambda:ListFunctions to these credentials)" in said.err
    assert f"warning: {AWAY}: ListLayerVersions: AccessDeniedException: " in said.err
    (first,) = [line for line in said.out.splitlines() if line.split()[:3] == [HOME, "flask", "1"]]
    assert first.endswith("not known")  # a function may use it
    assert said.out.count(HOME) > 6
    denied(office.aws, "ListLayerVersions")
    assert office.run("list", "--json").json["ok"] is False
    assert office.run("list").status == 17


def test_who_may_not_read_aliases_knows_all_the_same_what_nobody_holds(office: Office) -> None:
    furnish(office)
    denied(office.aws, "ListAliases")
    said = office.run("list")
    assert said.status == 18
    (first,) = [line for line in said.out.splitlines() if line.split()[:3] == [HOME, "flask", "1"]]
    assert first.endswith("  nobody known")


def test_the_end_of_a_run() -> None:
    assert listing.failure(Listing(account=ACCOUNT, regions=())) is None


@pytest.mark.parametrize("word", ["denied", "down", "throttled", "lost", "refused", "off"])
@pytest.mark.parametrize(
    "operation", ["ListLayerVersions", "ListFunctions", "ListAliases", "GetParametersByPath", "GetLayerVersion"]
)
def test_failures_of_a_region(word: str, operation: str, tmp_path: Path) -> None:
    land, other = Land(name=HOME), Land(name=AWAY)
    for one in (land, other):
        one.add("flask", 2)
        one.use("api", "1", one.add("flask", 1))
    land.script[operation] = [word] * 999
    found = listed([land, other], tmp_path, "flask", sizes=True)
    home = next(one for one in found.regions if one.region == HOME)
    everything = word in ("down", "refused", "off") or operation == "ListLayerVersions"
    assert bool(home.failure) == everything
    assert bool(home.lacks) != everything
    assert all(problem.count("(to do: ") == 1 for problem in listing.problems(found))
    assert list(listing.problems(found))
    assert listing.failure(found) in (DonePartly, OperationFailed)
    assert listing.as_json(found)["ok"] is False
    assert listing.table(found)


def test_names_that_nobody_has(tmp_path: Path) -> None:
    land = Land(name=HOME)
    land.add("flask-layer", 1)
    with pytest.raises(ConfigError, match="has no such layer") as caught:
        listed([land, Land(name=AWAY)], tmp_path, "flask-lair")
    assert caught.value.why == "'flask-lair'; did you mean 'flask-layer'?"
    assert "layerkit list --all" in caught.value.cure


@given(
    size=st.integers(1, 5),
    versions=st.dictionaries(
        st.sampled_from(["flask", "wsgi", "numpy"]), st.sets(st.integers(1, 40), min_size=1, max_size=9)
    ),
    functions=st.integers(0, 9),
    parameters=st.integers(0, 9),
)
def test_every_page_is_read(
    size: int,
    versions: dict[str, set[int]],
    functions: int,
    parameters: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    land = Land(name=HOME, size=size)
    for name, numbers in versions.items():
        for number in numbers:
            land.add(name, number)
    every = sorted(land.arns)
    for at in range(functions if every else 0):
        land.use(f"f{at}", "$LATEST", every[-1])
    for at in range(parameters if every else 0):
        land.values[f"/p/{at}"] = every[0]
    found = listed([land], tmp_path_factory.getbasetemp(), every=True)
    (region,) = found.regions
    assert {one.version.arn for _, listed in region.layers for one in listed} == set(every)
    assert [layer.name for layer, _ in region.layers] == sorted(versions)
    for _, ordered in region.layers:
        numbered = [one.version.version for one in ordered]
        assert numbered == sorted(numbered, reverse=True)
    holds = {one.version.arn: one.holds for _, listed in region.layers for one in listed}
    if every:
        assert sum(hold.kind is Kind.FUNCTION for hold in holds[every[-1]]) == functions
        assert sum(hold.kind is Kind.PARAMETER for hold in holds[every[0]]) == parameters


def test_what_is_known_of_sizes(tmp_path: Path) -> None:
    land = Land(name=HOME)
    for number in (1, 2, 3):
        land.add("flask", number)
    land.use("api", "$LATEST", arn(HOME, "flask", 1))
    (tmp_path / "published.json").write_bytes(records.render([entry(land.made["flask"][2], HOME)]))
    (region,) = listed([land], tmp_path, "flask").regions
    assert [one.size for _, versions in region.layers for one in versions] == [0, 1234, 1_000_000]
    assert "GetLayerVersion" not in land.calls


def test_published_json_of_another_account_or_region_holds_nothing(tmp_path: Path) -> None:
    land = Land(name=HOME)
    land.add("flask", 1)
    one = land.made["flask"][1]
    (tmp_path / "published.json").write_bytes(
        records.render([entry(one, HOME, account="210987654321"), entry(one, AWAY)])
    )
    assert shown(listed([land], tmp_path, "flask")) == [(HOME, "flask", 1, [])]


def test_nothing_at_all(tmp_path: Path) -> None:
    found = listed([Land(name=HOME)], tmp_path, every=True)
    assert listing.table(found).split() == [*" ".join(listing.HEAD).split(), f"{HOME}:", *ROOM]
    assert shown(found) == []
