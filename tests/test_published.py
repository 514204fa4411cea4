"""dist/published.json: the one record of what is published, which nothing may lose."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from layerkit import config, manifest, publishing
from layerkit.errors import ContentError, MachineError
from layerkit.model import Share
from layerkit.publish import published
from layerkit.publish.published import Entry

SCHEMA = json.loads((resources.files("layerkit") / "data" / "published.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
HASH = b64encode(bytes(32)).decode()
BOTH = ("arm64", "x86_64")
ALL = [(f"python3.{minor}", machine) for minor in (11, 12, 13) for machine in BOTH]  # targets


def entry(
    layer: str = "flask",
    region: str = "us-east-1",
    version: int = 1,
    runtimes: Sequence[str] = ("python3.12",),
    architectures: Sequence[str] = ("arm64",),
    account: str = "123456789012",
    partition: str = "aws",
    **more: Any,
) -> Entry:
    """An entry whose ARN is as AWS would make it."""
    name = more.pop("name", f"{layer}-layer")
    return Entry(
        layer=layer, name=name, account=account, region=region, version=version,
        arn=f"arn:{partition}:lambda:{region}:{account}:layer:{name}:{version}",
        runtimes=tuple(runtimes), architectures=tuple(architectures),
        **{"code_sha256": HASH, "share": Share(), **more},
    )  # fmt: skip


FULL = entry(
    "serverless-wsgi", "cn-north-1", 12, ("python3.12", "python3.13"), BOTH, partition="aws-cn", tagged=False, size=9,
    description='odd "${x}" | \n é', license="MIT", created="2026-11-21T17:00:00.000+0000", parameters=("/a/b",),
    share=Share(public=True, accounts=("210987654321",), organization="o-abcdefghij"),
)  # fmt: skip

accounts = st.from_regex(publishing.ACCOUNT, fullmatch=True)
shares = st.builds(
    Share,
    public=st.booleans(),
    accounts=st.lists(accounts, max_size=2).map(tuple),
    organization=st.just("") | st.from_regex(publishing.ORGANIZATION, fullmatch=True),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
entries = st.builds(
    entry,
    layer=st.from_regex(config.KEY, fullmatch=True).map(lambda key: key[:130]) | st.sampled_from("ab"),
    region=st.sampled_from(("us-east-1", "eu-west-1", "us-gov-west-1")),
    version=st.integers(1, 10**6),
    runtimes=st.lists(st.sampled_from(("python3.11", "python3.12")), unique=True).map(sorted),
    architectures=st.lists(st.sampled_from(BOTH), unique=True).map(sorted),
    account=st.sampled_from(("123456789012", "210987654321")),
    partition=st.sampled_from(("aws", "aws-us-gov", "aws-cn")),
    tagged=st.booleans(),
    size=st.integers(0, 2**40),
    description=texts,
    license=texts,
    created=texts,
    share=shares,
    parameters=st.lists(texts, max_size=2).map(tuple),
)
unlike = st.lists(entries, max_size=8, unique_by=lambda one: one.key)


def write(folder: Path, *found: Entry, declared: Sequence[str] = ("flask", "serverless-wsgi")) -> None:
    published.update(folder, found, declared=dict.fromkeys(declared, ALL))


def test_nothing_is_published_before_the_first_time(tmp_path: Path) -> None:
    assert published.read(tmp_path) == []
    assert published.read(tmp_path / "no-folder") == []


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "dist", FULL, entry())
    assert published.read(tmp_path / "deep" / "dist") == [entry(), FULL]
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


def test_the_file_is_the_documented_one(tmp_path: Path) -> None:
    write(tmp_path, FULL)
    text = (tmp_path / "published.json").read_text()
    assert text.endswith("}\n")
    assert json.loads(text) == {
        "schema_version": 1,
        "layers": [
            {
                "layer": "serverless-wsgi",
                "name": "serverless-wsgi-layer",
                "account": "123456789012",
                "region": "cn-north-1",
                "version": 12,
                "arn": "arn:aws-cn:lambda:cn-north-1:123456789012:layer:serverless-wsgi-layer:12",
                "runtimes": ["python3.12", "python3.13"],
                "architectures": ["arm64", "x86_64"],
                "tagged": False,
                "code_sha256": HASH,
                "size": 9,
                "description": 'odd "${x}" | \n é',
                "license": "MIT",
                "created": "2026-11-21T17:00:00.000+0000",
                "share": {"public": True, "accounts": ["210987654321"], "organization": "o-abcdefghij"},
                "parameters": ["/a/b"],
            }
        ],
    }


@given(unlike)
def test_any_file_is_read_again_and_keeps_to_the_schema(found: list[Entry]) -> None:
    content = published.render(found)
    assert content == published.render(found[::-1])
    assert list(VALIDATOR.iter_errors(json.loads(content))) == []
    assert published._parse(content) == sorted(found, key=lambda one: one.key)


def test_the_schema_is_one_and_says_what_the_reader_says() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    properties = SCHEMA["$defs"]["entry"]["properties"]
    assert tuple(properties) == tuple(SCHEMA["$defs"]["entry"]["required"]) == published.FIELDS
    assert set(published.FIELDS) == {field.name for field in dataclasses.fields(Entry)}
    assert tuple(properties["share"]["properties"]) == tuple(properties["share"]["required"]) == published.SHARE
    patterns = {
        properties["layer"]["pattern"]: config.KEY,
        properties["name"]["pattern"]: config.NAME,
        properties["region"]["pattern"]: publishing.REGION,
        properties["arn"]["pattern"]: published.ARN,
        properties["code_sha256"]["pattern"]: published.HASH,
        properties["share"]["properties"]["organization"]["pattern"]: publishing.ORGANIZATION,
        SCHEMA["$defs"]["account"]["pattern"]: publishing.ACCOUNT,
        SCHEMA["$defs"]["words"]["items"]["pattern"]: published.WORD,
    }
    assert {schema: f"^{reader}$" for schema, reader in patterns.items()} == {schema: schema for schema in patterns}
    for part in (properties, properties["share"]["properties"], SCHEMA["properties"]):
        assert all("description" in value or "$ref" in value for value in part.values())


# A file that cannot be used


def changed(**values: Any) -> str:
    data = json.loads(published.render([entry()]))
    data["layers"][0].update(values)
    return json.dumps(data)


DAMAGED = {
    "no JSON": ("{", "line 1"),
    "half": (published.render([entry()]).decode()[:300], "line"),
    "a merge that was left": ("<<<<<<< HEAD\n" + changed(), "line 1"),
    "empty": ("", "line 1"),
    "a list": ("[]", "the file: is no object"),
    "no layers": ('{"schema_version": 1}', "'layers' is missing"),
    "layers that are none": ('{"schema_version": 1, "layers": {}}', "layers: is no list"),
    "no version": ('{"layers": []}', "'schema_version' is missing"),
    "version 0": ('{"schema_version": 0, "layers": []}', "schema_version: is no whole number"),
    "version true": ('{"schema_version": true, "layers": []}', "schema_version: is no whole number"),
    "deep": ("[" * 100_000, "nested too deep"),
    "an entry that is none": ('{"schema_version": 1, "layers": [1]}', "layers[0]: is no object"),
    "a field more": (changed(colour="red"), "layers[0]: 'colour' is not known"),
    "a version in words": (changed(version="1"), "layers[0].version: is no whole number from 1 up"),
    "a flag in words": (changed(tagged="yes"), "layers[0].tagged: is neither true nor false"),
    "a number for words": (changed(license=1), "layers[0].license: is no text"),
    "a word for a list": (changed(runtimes="python3.12"), "layers[0].runtimes: is no list"),
    "another ARN's region": (changed(region="eu-west-1"), "is not of the region, account, name and version"),
    "two lines for an ARN": (changed(arn="arn:aws:lambda:us-east-1:123456789012:layer:a:1\nX=1"), "layers[0].arn: "),
    "a share in words": (changed(share="public"), "layers[0].share: is no object"),
    "an account in words": (
        changed(share={"public": False, "accounts": ["me"], "organization": None}),
        "layers[0].share.accounts[0]: 'me'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "why"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_never_written_over(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "published.json"
    path.write_text(text)
    with pytest.raises(ContentError) as caught:
        published.read(tmp_path)
    assert why in caught.value.why
    assert caught.value.where == str(path)
    assert "run layerkit publish again" in caught.value.cure
    with pytest.raises(ContentError):
        write(tmp_path, entry(version=2))
    assert path.read_text() == text


def test_the_same_twice_is_damage(tmp_path: Path) -> None:
    data = json.loads(published.render([entry()]))
    (tmp_path / "published.json").write_text(json.dumps(data | {"layers": data["layers"] * 2}))
    with pytest.raises(ContentError) as caught:
        published.read(tmp_path)
    assert "layers[1]: is the same" in caught.value.why


def test_a_newer_file_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "published.json").write_text('{"schema_version": 2, "shelves": []}')
    with pytest.raises(ContentError, match="newer layerkit") as caught:
        write(tmp_path, entry())
    assert caught.value.cure == "update layerkit"
    assert "schema_version is 2" in caught.value.why
    assert (tmp_path / "published.json").read_text() == '{"schema_version": 2, "shelves": []}'


def test_a_file_that_cannot_be_read_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "published.json").mkdir()
    with pytest.raises(MachineError, match="cannot be read"):
        published.read(tmp_path)


def test_an_entry_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    write(tmp_path, entry())
    with pytest.raises(ValueError, match="account"):
        write(tmp_path, dataclasses.replace(entry(), account="me"), declared=["flask"])
    assert published.read(tmp_path) == [entry()]


# What replaces what


def test_one_region_is_replaced_alone(tmp_path: Path) -> None:
    write(tmp_path, entry(), entry(region="eu-west-1"))
    write(tmp_path, entry(version=2))
    assert published.read(tmp_path) == [entry(region="eu-west-1"), entry(version=2)]


def test_other_accounts_and_targets_stay(tmp_path: Path) -> None:
    other = [entry(account="210987654321"), entry(architectures=["x86_64"]), entry(runtimes=["python3.13"])]
    write(tmp_path, entry(), *other)
    write(tmp_path, entry(version=2))
    assert len(published.read(tmp_path)) == 4
    assert entry() not in published.read(tmp_path)


def test_layers_that_are_no_longer_declared_go_from_this_account(tmp_path: Path) -> None:
    foreign = entry("serverless-wsgi", account="210987654321")
    write(tmp_path, entry(), entry("serverless-wsgi"), foreign)
    write(tmp_path, entry(version=2), declared=["flask"])
    assert published.read(tmp_path) == [entry(version=2), foreign]


def test_a_layer_that_is_declared_and_was_not_published_now_stays(tmp_path: Path) -> None:
    write(tmp_path, entry(), entry("serverless-wsgi"))
    write(tmp_path, entry(version=2))
    assert published.read(tmp_path) == [entry(version=2), entry("serverless-wsgi")]


ARM, X86 = entry(), entry(architectures=["x86_64"])
JOINED = entry(version=2, architectures=BOTH)
WIDER = entry(version=2, runtimes=["python3.12", "python3.13"])


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        pytest.param([ARM, X86], [JOINED], [JOINED], id="one zip instead of two"),
        pytest.param([JOINED], [ARM, X86], [ARM, X86], id="two zips instead of one"),
        pytest.param([JOINED], [ARM], [ARM, JOINED], id="half of it: the other half has no other ARN"),
        pytest.param([ARM], [WIDER], [WIDER], id="a runtime more"),
        pytest.param([entry(runtimes=[])], [ARM], [ARM], id="it had no runtime"),
        pytest.param([ARM], [entry(runtimes=[])], [entry(runtimes=[]), ARM], id="it has no runtime now"),
        pytest.param(
            [entry(runtimes=[]), entry(runtimes=[], architectures=["x86_64"])],
            [entry(runtimes=[], version=2)],
            [entry(runtimes=[], version=2), entry(runtimes=[], architectures=["x86_64"])],
            id="no runtime, one architecture each",
        ),
        pytest.param([entry(name="old")], [ARM], [ARM], id="another name in AWS"),
        pytest.param(
            [entry(region="eu-west-1")], [JOINED], [entry(region="eu-west-1"), JOINED], id="of another region"
        ),
    ],
)
def test_no_stale_targets_are_left(before: list[Entry], new: list[Entry], after: list[Entry]) -> None:
    assert published.merged(before, new, {"flask": ALL}) == after


def test_a_layer_that_is_declared_for_less_loses_what_it_was_for_more() -> None:
    declared = {"flask": [("python3.12", "arm64")]}
    assert published.merged([JOINED, X86], [ARM], declared) == [ARM]
    elsewhere = entry(region="eu-west-1", architectures=BOTH)  # not published to now: its ARN is the only one there
    assert set(published.merged([elsewhere], [ARM], declared)) == {elsewhere, ARM}


@given(unlike, unlike, st.sets(st.sampled_from("ab")))
def test_merging_loses_nothing_that_is_new_or_elsewhere(before: list[Entry], new: list[Entry], declared: Any) -> None:
    declared = dict.fromkeys(declared | {one.layer for one in new}, ALL)
    after = published.merged(before, new, declared)
    assert set(new) <= set(after)
    assert set(after) <= {*before, *new}
    assert len({one.key for one in after}) == len(after)
    assert after == sorted(after, key=lambda one: one.key)
    touched = {one.place for one in new}
    accounts = {one.account for one in new}
    for one in set(before) - set(after):
        assert one.place in touched or (one.account in accounts and one.layer not in declared)
    assert published.merged(after, new, declared) == after
    assert published.merged(before[::-1], new[::-1], declared) == after


# Writing


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    write(tmp_path / "none", declared=())
    assert not (tmp_path / "none").exists()
    write(tmp_path, entry(), FULL)
    loose = json.dumps(json.loads((tmp_path / "published.json").read_text()))  # as another program would write it
    (tmp_path / "published.json").write_text(loose)
    write(tmp_path, FULL)
    assert (tmp_path / "published.json").read_text() == loose


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, entry())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched, pytest.raises(MachineError, match="the disk is full") as caught:
        patched.setattr(os, "fsync", full)  # the system's call
        write(tmp_path, entry(version=2))
    assert "free some space" in caught.value.cure
    assert published.read(tmp_path) == [entry()]
    assert [path.name for path in tmp_path.iterdir()] == ["published.json"]
    write(tmp_path, entry(version=2))
    assert published.read(tmp_path) == [entry(version=2)]


def test_a_folder_behind_a_link_is_one_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "dist").symlink_to("real")
    write(tmp_path / "dist", entry())
    assert published.read(tmp_path / "real") == [entry()]


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from layerkit.publish import published
from test_published import entry
declared = {"flask": [("python3.12", "arm64")]}
for n in range(int(sys.argv[4])):
    published.update(Path(sys.argv[1]), [entry(region=f"{sys.argv[2]}-{n}")], declared=declared)
"""


def writer(folder: Path, name: str, times: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(folder), name, str(Path(__file__).parent), str(times)]
    return subprocess.Popen(command)


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    running = [writer(tmp_path / "dist", name, 30) for name in ("us-east", "eu-west")]
    build = b"x"
    while any(process.poll() is None for process in running):  # and a build exchanges the folder meanwhile
        with manifest.replacing(tmp_path / "dist") as (staging, commit):
            (staging / "a.zip").write_bytes(build)
            commit(())
    for process in running:
        with process:
            assert process.wait() == 0
    expected = {f"{name}-{n}" for name in ("us-east", "eu-west") for n in range(30)}
    assert {one.region for one in published.read(tmp_path / "dist")} == expected
    assert (tmp_path / "dist" / "a.zip").read_bytes() == build


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    """And whoever reads meanwhile reads a whole one."""
    for round_ in range(4):
        wanted = len(published.read(tmp_path)) + 1 + 3 * round_
        with writer(tmp_path, f"us-{'abcdefgh'[round_]}", 1000) as process:
            while len(published.read(tmp_path)) < wanted:
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        assert len(published.read(tmp_path)) >= wanted


def test_what_a_killed_process_left_is_tidied_up(tmp_path: Path) -> None:
    (tmp_path / ".published.json.x1y2z3").write_bytes(published.render([FULL])[:100])
    write(tmp_path, entry())
    assert [path.name for path in tmp_path.iterdir()] == ["published.json"]
