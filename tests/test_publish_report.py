"""What publishing came to, as it is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from clouds import ACCOUNT, REGION, layer
from layerkit.aws.nouns import LayerVersion, Statement
from layerkit.errors import LayerkitError, PublishedPartly, PublishFailed
from layerkit.model import Share
from layerkit.publish.report import as_json, failure, lines, problems, summary
from layerkit.publish.results import Action, Decision, Outcome, RegionResult, Result, Status
from layerkit.publish.shares import Change, wanted

A, B = layer("a"), layer("b", name="longer")
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:deps:7"
VERSION = LayerVersion(name="deps", version=7, arn=ARN, runtimes=A.runtimes, architectures=A.architectures)
PUBLIC = wanted(Share(public=True))
THEIRS = Statement(sid="theirs", principal="*", organization="o-a1b2c3d4e5")


def decision(action: Action = Action.PUBLISH, **more: Any) -> Decision:
    given: dict[str, Any] = {"candidate": A, "sent": A, "region": REGION, "reason": "so it is"} | more
    return Decision(action=action, **given)


def outcome(status: Status = Status.PUBLISHED, **more: Any) -> Outcome:
    given: dict[str, Any] = {"candidate": A, "region": REGION, "reason": "so it is", "version": VERSION} | more
    return Outcome(status=status, **given)


GOOD = RegionResult(region=REGION, outcomes=(outcome(),))
PLANNED = RegionResult(region=REGION, decisions=(decision(),))
BAD = RegionResult(region="eu-west-2", outcomes=(outcome(Status.FAILED, version=None, reason="publish: no"),))
REFUSED = RegionResult(region="eu-west-2", decisions=(decision(Action.REFUSE, cure="make room"),))
DOWN = RegionResult(region="me-south-1", failure="list: EndpointConnectionError: no", cure="check the network")


def result(*regions: RegionResult, dry_run: bool = False) -> Result:
    return Result(account=ACCOUNT, regions=regions, candidates=[A], dry_run=dry_run)


def test_a_plan_is_told() -> None:
    decisions = (
        decision(notes=("by the way",)),
        decision(Action.REFUSE, candidate=B, reason="the zip has 60.0 MiB", cure="name a bucket"),
    )
    assert list(lines(RegionResult(region=REGION, decisions=decisions))) == [
        "eu-west-1       deps    publish  so it is",
        "  note: by the way",
        "eu-west-1       longer  refuse   the zip has 60.0 MiB",
        "  To do: name a bucket",
    ]


def test_what_was_done_is_told() -> None:
    change = Change(add=PUBLIC, remove=(THEIRS,))
    outcomes = (
        outcome(shared=change, written=("/lk/deps/latest",), notes=("by the way",)),
        outcome(Status.FAILED, candidate=B, version=None, reason="publish: AccessDenied: no", cure="allow it"),
    )
    assert list(lines(RegionResult(region=REGION, outcomes=outcomes))) == [
        f"eu-west-1       deps    published  {ARN}",
        "  shared with: public",
        "  no longer shared with: statement 'theirs' (organization o-a1b2c3d4e5)",
        "  parameters: /lk/deps/latest",
        "  note: by the way",
        "eu-west-1       longer  failed     publish: AccessDenied: no",
        "  To do: allow it",
    ]


@pytest.mark.parametrize("status", [Status.ADOPTED, Status.SHARED, Status.REUSED])
def test_what_was_there_is_told_with_its_arn(status: Status) -> None:
    assert list(lines(RegionResult(region=REGION, outcomes=(outcome(status),)))) == [
        f"eu-west-1       deps  {status:9}  {ARN}"
    ]


def test_what_failed_with_a_version_is_told_with_the_reason() -> None:
    (line,) = lines(RegionResult(region=REGION, outcomes=(outcome(Status.FAILED, reason="version 7 is there, but"),)))
    assert line == "eu-west-1       deps  failed     version 7 is there, but"
    assert result(RegionResult(region=REGION, outcomes=(outcome(Status.FAILED),))).done == []


def test_targets_of_one_layer_are_told_apart() -> None:
    both = tuple(
        outcome(candidate=replace(A, alone=False, architectures=(machine,))) for machine in ("arm64", "x86_64")
    )
    assert [line[16:].split("  ")[0] for line in lines(RegionResult(region=REGION, outcomes=both))] == [
        "deps python3.12 arm64",
        "deps python3.12 x86_64",
    ]


def test_a_region_that_failed_is_told() -> None:
    assert list(lines(DOWN)) == [
        "me-south-1      failed  list: EndpointConnectionError: no",
        "  To do: check the network",
    ]


def test_problems_are_what_is_not_as_it_was_asked_for() -> None:
    told = [line for one in (GOOD, PLANNED, BAD, REFUSED, DOWN) for line in problems(one)]
    assert told == [
        "eu-west-2: deps: publish: no",
        "eu-west-2: deps: so it is",
        "me-south-1: list: EndpointConnectionError: no",
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (result(GOOD), "1 layer version in 1 region: 1 published"),
        (result(GOOD, BAD, DOWN), "1 layer version in 3 regions: 1 published, 1 failed, 1 region failed"),
        (
            result(PLANNED, REFUSED, dry_run=True),
            "plan, nothing is done: 1 layer version in 2 regions: 1 to publish, 1 to refuse",
        ),
    ],
)
def test_the_summary_is_one_line(given: Result, words: str) -> None:
    assert summary(given) == words


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (result(GOOD), None),
        (result(PLANNED, dry_run=True), None),
        (result(GOOD, DOWN), PublishedPartly),
        (result(GOOD, BAD), PublishedPartly),
        (result(replace(BAD, outcomes=(*BAD.outcomes, outcome()))), PublishedPartly),
        (result(PLANNED, REFUSED, dry_run=True), PublishedPartly),
        (result(DOWN), PublishFailed),
        (result(BAD, DOWN), PublishFailed),
        (result(REFUSED, dry_run=True), PublishFailed),
    ],
)
def test_the_exit_tells_some_from_none(given: Result, error: type[LayerkitError] | None) -> None:
    assert failure(given) is error


def test_json_has_everything() -> None:
    change = Change(add=PUBLIC, foreign=(THEIRS,))
    planned = decision(
        Action.SHARE, version=VERSION, newest=9, change=change, parameters=(("/lk/x", ARN),), notes=("n",)
    )
    untagged = outcome(version=replace(VERSION, architectures=()), shared=change, parameters=("/lk/x",))
    everything = as_json(result(RegionResult(region=REGION, decisions=(planned,), outcomes=(untagged,)), DOWN))
    assert json.loads(json.dumps(everything)) == everything
    (first, down) = everything.pop("regions")
    assert everything == {
        "schema_version": 1, "ok": False, "account": ACCOUNT, "dry_run": False, "unrecorded": None,
    }  # fmt: skip
    assert down == {
        "region": "me-south-1",
        "failure": "list: EndpointConnectionError: no",
        "cure": "check the network",
        "plan": [],
        "layers": [],
    }
    candidate = {
        "layer": "deps",
        "name": "deps",
        "file": "deps-a.zip",
        "size": 1000,
        "code_sha256": A.code_sha256,
        "runtimes": ["python3.12"],
        "architectures": ["arm64"],
    }
    public = {"id": "layerkit-public", "principal": "*", "organization": None}
    theirs = {"id": "theirs", "principal": "*", "organization": "o-a1b2c3d4e5"}
    shared = {"share": {"add": [public], "remove": []}, "shared_by_others": [theirs]}
    assert first["plan"] == [
        candidate
        | shared
        | {"action": "share", "reason": "so it is", "version": 7, "arn": ARN, "newest": 9}
        | {"parameters": {"/lk/x": ARN}, "notes": ["n"], "cure": None}
    ]
    assert first["layers"] == [
        candidate
        | shared
        | {"status": "published", "reason": "so it is", "version": 7, "arn": ARN, "tagged": False}
        | {"parameters": ["/lk/x"], "notes": [], "cure": None}
    ]
    assert (first["region"], first["failure"], first["cure"]) == (REGION, None, None)


def test_json_of_nothing_has_no_version() -> None:
    (region,) = as_json(result(BAD))["regions"]
    assert (region["layers"][0]["version"], region["layers"][0]["arn"]) == (None, None)
    (region,) = as_json(result(PLANNED))["regions"]
    assert (region["plan"][0]["version"], region["plan"][0]["newest"]) == (None, None)
