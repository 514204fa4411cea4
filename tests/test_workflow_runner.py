"""The runner that the workflow is tested with: what it takes from GitHub, a rule each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from expressions import Unknown, condition, evaluate, filled
from workflows import Claims, Failed, Repository, Run, run

PIN = "@0123456789abcdef0123456789abcdef01234567"
UPLOAD, DOWNLOAD = f"actions/upload-artifact{PIN}", f"actions/download-artifact{PIN}"
CREDENTIALS = f"aws-actions/configure-aws-credentials{PIN}"
ROLE = "arn:aws:iam::111111111111:role/layerkit"
Runs = Callable[..., Run]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "commit").mkdir()
    (tmp_path / "commit/file").write_text("text")
    return Repository(
        folder=tmp_path / "hub", workspace=tmp_path / "commit", environments={"prod": {"ROLE": ROLE}},
        assume=lambda claims, role, region: {"account": role.split(":")[4], "AWS_ACCESS_KEY_ID": claims["sub"]},
    )  # fmt: skip


def written(repository: Repository, **jobs: Any) -> Path:
    """A workflow with these jobs; a job is its steps, and a step that is a text is shell."""
    whole = {}
    for name, job in jobs.items():
        job = job if isinstance(job, dict) else {"steps": job}
        steps = [{"run": one} if isinstance(one, str) else one for one in job.get("steps", ["true"])]
        whole[name.replace("_", "-")] = {"permissions": {}, **job, "steps": steps}
    file = repository.folder.parent / "workflow.yml"
    file.write_text(yaml.safe_dump({"on": "push", "permissions": {}, "jobs": whole}, sort_keys=False))
    return file


def ran(repository: Repository, **jobs: Any) -> Run:
    return run(repository, written(repository, **jobs))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {"success": lambda: True, "failure": lambda: False}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'it''s'", "it's"),
        ("1 == 1", True),
        ("'A' == 'a'", True),
        ("vars.none == 'a'", False),
        ("vars.none || 'us-east-1'", "us-east-1"),
        ("vars.a && 'yes' || 'no'", "yes"),
        ("!(vars.a == 'x') && needs.some-job.result != 'skipped'", False),
        ("needs.other.result", None),
        ("success() && !failure()", True),
    ],
)
def test_expressions(text: str, value: object) -> None:
    contexts = {"vars": {"a": "x"}, "needs": {"some-job": {"result": "success"}}}
    assert evaluate(text, contexts, FUNCTIONS) == value


@pytest.mark.parametrize("text", ["github.nothing", "what.ever", "strange()", "'open", "1 ==", "(1", "a b"])
def test_what_is_no_expression_here_is_told(text: str) -> None:
    with pytest.raises(Unknown):
        evaluate(text, {"github": {}, "a": 1, "b": 1}, FUNCTIONS)


def test_a_text_is_filled_and_a_condition_asks_for_success() -> None:
    assert filled({"a": ["x${{ vars.a }}y${{ vars.b }}"]}, {"vars": {"a": 1}}, {}) == {"a": ["x1y"]}
    broken = {"success": lambda: False, "failure": lambda: True}
    assert not condition("vars.a == 1", {"vars": {"a": 1}}, broken)
    assert condition("${{ failure() && vars.a == 1 }}", {"vars": {"a": 1}}, broken)
    assert not condition(None, {}, broken)


def test_a_job_after_a_skipped_one_is_skipped_however_far_away_unless_it_says_otherwise(
    repository: Repository,
) -> None:
    found = ran(
        repository,
        first={"if": "vars.NONE == 'x'"},
        second={"needs": "first", "if": "!cancelled()"},
        third={"needs": ["second"]},
        fourth={"needs": ["second"], "if": "!cancelled() && needs.second.result == 'success'"},
        fifth={"needs": ["fourth"], "if": "needs.fourth.result == 'success'"},
    )
    results = ["skipped", "success", "skipped", "success", "skipped"]
    assert list(found.results.values()) == results


def test_steps_after_a_failure_are_skipped_unless_they_say_otherwise(repository: Repository) -> None:
    found = ran(repository, a=["false | true; echo on", {"run": "echo no"}, {"run": "echo yes", "if": "failure()"}])
    assert found.results == {"a": "success"}  # the default shell has no pipefail
    steps = [
        {"run": "false | true; echo on", "shell": "bash"},
        {"run": "echo no"},
        {"run": "echo yes", "if": "failure()"},
    ]
    found = ran(repository, a=steps)
    assert found.results == {"a": "failure"}
    assert [outcome for _, outcome in found.jobs["a"].steps] == ["failure", "skipped", "success"]


def test_outputs_environment_path_and_summary_go_on(repository: Repository) -> None:
    lines = [
        {"id": "one", "run": "printf 'a=1\\nb<<END\\n2=\\n3\\nEND\\n' >> $GITHUB_OUTPUT; echo N=m >> $GITHUB_ENV"},
        'mkdir bin; printf "#!/bin/sh\\necho mine" > bin/x; chmod +x bin/x; echo "$PWD/bin" >> "$GITHUB_PATH"',
        'echo "$N $(x)" >> "$GITHUB_STEP_SUMMARY"',
    ]
    outputs = {
        "a": "${{ steps.one.outputs.a }}",
        "b": "${{ steps.one.outputs.b }}",
        "c": "${{ steps.one.outputs.c }}",
    }
    after = {"needs": "first", "steps": [{"run": 'test "$A" = 1', "env": {"A": "${{ needs.first.outputs.a }}"}}]}
    found = ran(repository, first={"steps": lines, "outputs": outputs}, second=after)
    assert found.results == {"first": "success", "second": "success"}, found.said()
    assert found.jobs["first"].outputs == {"a": "1", "b": "2=\n3", "c": ""}
    assert found.jobs["first"].summary == "m mine\n"


def test_a_matrix_is_a_machine_for_each(repository: Repository) -> None:
    matrix = {"os": ["a", "b"], "n": [1, 2], "exclude": [{"os": "b", "n": 2}], "include": [{"os": "c"}]}
    step = {"run": 'echo "$X" >> "$GITHUB_STEP_SUMMARY"', "env": {"X": "${{ matrix.os }}${{ matrix.n }}"}}
    found = ran(repository, a={"strategy": {"matrix": matrix}, "steps": [step]})
    assert found.jobs["a"].summary.split() == ["a1", "a2", "b1", "c"]


def test_artifacts_are_taken_by_their_id(repository: Repository) -> None:
    given = {"name": "x", "path": "out/"}
    up: dict[str, Any] = {"id": "up", "uses": UPLOAD, "with": given}
    down = {"uses": DOWNLOAD, "with": {"artifact-ids": "${{ needs.first.outputs.id }}", "path": "in"}}
    first = {
        "steps": ["mkdir out; echo true > out/file", up],
        "outputs": {"id": "${{ steps.up.outputs.artifact-id }}"},
    }
    evil = ["mkdir out; echo evil > out/file", {**up, "with": {**given, "overwrite": "true"}}]
    last = {"needs": ["first"], "steps": [down, 'test "$(cat in/file)" = true']}
    found = ran(repository, first=first, last=last)
    assert found.results == {"first": "success", "last": "success"}, found.said()
    found = ran(
        repository, first=first, other={"needs": "first", "steps": evil}, last={**last, "needs": ["first", "other"]}
    )
    assert found.results == {"first": "success", "other": "success", "last": "failure"}
    evil[1] = up
    found = ran(
        repository, first=first, other={"needs": "first", "steps": evil}, last={**last, "needs": ["first", "other"]}
    )
    assert found.results["other"] == "failure"  # a name is taken


def with_credentials(**given: Any) -> dict[str, Any]:
    inputs = {"role-to-assume": "${{ vars.ROLE }}", "aws-region": "us-east-1", **given}
    step = {"id": "aws", "uses": CREDENTIALS, "with": inputs}
    line = 'echo "who=$AWS_ACCESS_KEY_ID $ACCOUNT" | tee -a "$GITHUB_OUTPUT" "$GITHUB_STEP_SUMMARY"'
    show = {"run": line, "id": "show", "env": {"ACCOUNT": "${{ steps.aws.outputs.aws-account-id }}"}}
    return {
        "environment": "prod", "permissions": {"id-token": "write"}, "steps": [step, show],
        "outputs": {"who": "${{ steps.show.outputs.who }}"},
    }  # fmt: skip


def test_credentials_are_the_environments(repository: Repository) -> None:
    subject = "repo:octo-org/layers:environment:prod 111111111111"
    assert ran(repository, a=with_credentials()).jobs["a"].outputs == {"who": subject}
    young = ran(replace(repository, young=True), a=with_credentials())
    assert young.jobs["a"].outputs == {"who": "repo:octo-org@65/layers@74:environment:prod 111111111111"}
    none = {**with_credentials(**{"role-to-assume": ROLE}), "environment": ""}
    assert ran(repository, a=none).jobs["a"].outputs == {
        "who": "repo:octo-org/layers:ref:refs/tags/v1.0.0 111111111111"
    }
    refused = ran(repository, a={**with_credentials(), "permissions": {"contents": "read"}})
    assert refused.results == {"a": "failure"}
    assert "id-token" in refused.jobs["a"].said

    def no(claims: Claims, role: str, region: str) -> Mapping[str, str]:
        raise Failed("Not authorized")

    assert ran(replace(repository, assume=no), a=with_credentials()).results == {"a": "failure"}


def test_a_masked_account_takes_the_outputs_with_it(repository: Repository) -> None:
    """Why the workflow does not mask it."""
    found = ran(repository, a=with_credentials(**{"mask-aws-account-id": True}))
    assert found.results == {"a": "success"}
    assert found.jobs["a"].outputs == {}
    assert "Skip output 'who' since it may contain secret." in found.jobs["a"].said
    assert found.jobs["a"].summary.endswith("prod ***\n")


@pytest.mark.parametrize(
    ("rights", "command", "works"),
    [
        ("read", "gh release list --limit 9 --json tagName --jq '.[].tagName'", True),
        ("write", "gh release create v1.0.0 --title t --notes-file file file", True),
        ("write", "gh release create v9 --verify-tag --title t --notes-file file file", False),
        ("read", "gh release create v1.0.0 --title t --notes-file file file", False),
        ("read", "gh release view v1.0.0", False),
        ("read", "gh release frobnicate", False),
        ("read", "GH_TOKEN= gh release list --limit 9 --json tagName --jq '.[].tagName'", False),
        ("none", "gh release list --limit 9 --json tagName --jq '.[].tagName'", False),
    ],
)
def test_gh_has_the_jobs_rights(repository: Repository, rights: str, command: str, works: bool) -> None:
    env = {"GH_TOKEN": "${{ github.token }}", "GH_REPO": "${{ github.repository }}"}
    found = ran(
        repository, a={"permissions": {"contents": rights}, "steps": ["touch file", {"run": command, "env": env}]}
    )
    assert found.results == {"a": "success" if works else "failure"}, found.said()


def test_a_checkout_needs_its_permission(repository: Repository) -> None:
    checkout = {"uses": f"actions/checkout{PIN}", "with": {"persist-credentials": False}}
    assert ran(repository, a=[checkout]).results == {"a": "failure"}
    assert ran(repository, a={"permissions": {"contents": "read"}, "steps": [checkout, "test -f file"]}).results == {
        "a": "success"
    }


def test_attesting_needs_files_and_permissions(repository: Repository) -> None:
    step = {"uses": f"actions/attest-build-provenance{PIN}", "with": {"subject-path": "*.zip"}}
    both = {"id-token": "write", "attestations": "write"}
    assert ran(repository, a={"permissions": both, "steps": ["touch a.zip", step]}).attested == ["a.zip"]
    assert ran(repository, a={"permissions": both, "steps": [step]}).results == {"a": "failure"}
    assert ran(repository, a={"permissions": {"id-token": "write"}, "steps": ["touch a.zip", step]}).results == {
        "a": "failure"
    }


@pytest.mark.parametrize("uses", ["actions/checkout@v7", f"somebody/else{PIN}"])
def test_what_is_not_pinned_or_not_known_ends_it(repository: Repository, uses: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        ran(repository, a=[{"uses": uses}])


def test_an_environment_is_approved_and_has_to_be_there(repository: Repository) -> None:
    asked: list[str] = []

    def approve(name: str) -> bool:
        asked.append(name)
        return False

    careful = replace(repository, approve=approve)
    found = ran(careful, a={"environment": "prod", "steps": ["touch never"]}, b={"needs": "a"})
    assert found.results == {"a": "failure", "b": "skipped"}
    assert asked == ["prod"]
    assert not list(repository.folder.rglob("never"))
    with pytest.raises(AssertionError, match="no environment"):
        ran(repository, a={"environment": "absent"})


def test_a_job_that_is_run_again_takes_those_after_it_along(repository: Repository) -> None:
    count = 'echo x >> "$COUNT"'
    repository = replace(repository, machine={"COUNT": str(repository.folder.parent / "count")})
    jobs = {"a": [count], "b": {"needs": "a", "steps": [count]}, "c": {"needs": ["b"], "steps": [count]}}
    first = ran(repository, **jobs)
    run(repository, repository.folder.parent / "workflow.yml", again=first, jobs=["b"])
    assert (repository.folder.parent / "count").read_text() == "x\n" * 5
