"""Every way of failing, at every kind of call: what is published afterwards, and what the next run does."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from aws_standin import REGIONS as ALL
from aws_standin import Standin, serve
from conftest import ROOT, RUNTIME, absent
from layerkit.aws.account import Account
from layerkit.aws.stop import Stop
from layerkit.model import Share
from layerkit.publish import published as records
from publishing import AWAY, CLIENT, HOME, REGIONS, Ran, Site, as_client, bad_words, build
from test_arns_tools import python as tools
from test_publish import AWS_CLI

pytestmark = pytest.mark.integration
PAGE = ROOT / "docs/reliability.md"
WRITE = os.environ.get("LAYERKIT_WRITE_DOCS")  # put what was measured into the page, instead of comparing
OTHERS = tuple(sorted(set(ALL) - set(REGIONS)))
ENDLESS = 1_000_000

LATE = "late:0.01"  # of a read it is the same as one that is lost before
EXPIRED = "ExpiredTokenException"
FAULTS = {  # columns of the page
    "lost before": "drop-before",
    "lost after": "drop-after",
    "done late": LATE,
    "throttled": "TooManyRequestsException",
    "HTTP 500": "ServiceException",
    "denied": "AccessDeniedException",
    "expired": EXPIRED,
    "refused": "UnrecognizedClientException",
}
FINAL = (FAULTS["denied"], FAULTS["expired"], FAULTS["refused"])  # a run does not get over these
LARGE = ("lost after", "HTTP 500", "denied")  # with a zip of 51 MiB each case takes a second
STOPS = "stops"  # exit code 14 or 15: which calls were made before it depends on the order of threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What there is before the run that meets the fault."""

    before: Callable[[Site], object] = lambda site: None
    large: bool = False
    everywhere: bool = False  # --all-regions


def shared_otherwise(site: Site) -> None:
    assert site.run(connect=site.known, share=Share(public=True), yes_public=True).status == 0


def published(site: Site) -> None:
    assert site.run(connect=site.known).status == 0


def changed_on_the_way(site: Site) -> None:
    site.aws.fault("PublishLayerVersion", "bad-sha", region=AWAY)


def untold(site: Site) -> None:
    site.aws.fault("ListRegions", "AccessDeniedException")


SCENES = {
    "GetCallerIdentity": Scene(),
    "ListRegions": Scene(everywhere=True),
    "DescribeRegions": Scene(before=untold, everywhere=True),
    "ListLayerVersions": Scene(),
    "GetLayerVersion": Scene(before=published),
    "GetAccountSettings": Scene(),
    "PublishLayerVersion": Scene(),
    "DeleteLayerVersion": Scene(before=changed_on_the_way),
    "GetLayerVersionPolicy": Scene(before=published),
    "RemoveLayerVersionPermission": Scene(before=shared_otherwise),
    "AddLayerVersionPermission": Scene(),
    "GetParameters": Scene(before=published),
    "PutParameter": Scene(),
    "HeadObject": Scene(large=True),
    "CreateMultipartUpload": Scene(large=True),
    "UploadPart": Scene(large=True),
    "CompleteMultipartUpload": Scene(large=True),
    "ListMultipartUploads": Scene(large=True),
    "DeleteObject": Scene(large=True),
}
WRITES = (
    "PublishLayerVersion", "DeleteLayerVersion", "AddLayerVersionPermission", "RemoveLayerVersionPermission",
    "PutParameter",
)  # fmt: skip
NOWHERE = ("GetCallerIdentity", "ListRegions", "DescribeRegions")  # calls that are not of one of the regions


@pytest.fixture(autouse=True)
def _client(monkeypatch: pytest.MonkeyPatch) -> None:
    as_client(monkeypatch)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("publish") / "built")


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("publish") / "large", ["alpha"], [AWAY], 51 * 2**20)


@pytest.fixture(scope="session")
def threads() -> Iterator[Executor]:
    """Threads that last, each with a session of boto3."""
    with ThreadPoolExecutor(max_workers=8) as made:
        yield made


@pytest.fixture
def aws() -> Iterator[Standin]:
    with serve(rate=0) as standin:
        yield standin


@pytest.fixture
def site(built: Path, tmp_path: Path, aws: Standin) -> Site:
    return Site.copied(built, tmp_path / "site", aws)


def large_site(large: Path, folder: Path, aws: Standin) -> Site:
    more = {"bucket": "zips-{region}"}
    return Site.copied(large, folder, aws, more=more, layers=("alpha",), regions=(AWAY,))


def measured(row: str, *cells: str) -> None:
    """The last cells of a row of the page are these."""
    lines = PAGE.read_text().splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith(f"| {row} |")]
    there = [cell.strip() for cell in lines[at].strip("|").split("|")]
    wanted = [*there[: -len(cells)], *cells]
    if WRITE:
        lines[at] = f"| {' | '.join(wanted)} |"
        PAGE.write_text("\n".join(lines) + "\n")
    else:
        assert there == wanted, f"{PAGE.name} differs from what was measured; LAYERKIT_WRITE_DOCS=1 writes it anew"


def finished(site: Site, connect: Callable[[str], Account] | None = None) -> list[str]:
    """What is wrong with a run without faults, which does the rest, and with one more, which has nothing to do."""
    return [*rest(site, connect), *idle(site, connect)]


def rest(site: Site, connect: Callable[[str], Account] | None = None) -> list[str]:
    """What is wrong after a run that meets no fault."""
    second = site.run(connect=connect)
    problems = [f"2nd run: {what}" for what in site.problems(done=True)]
    return [*problems, f"2nd run: exit {second.status}: {second.said}"] if second.status else problems


def idle(site: Site, connect: Callable[[str], Account] | None = None) -> list[str]:
    """What is wrong with a run that has nothing to do."""
    before = (site.output / records.NAME).read_bytes()
    third = site.run(connect=connect)
    problems = [f"3rd run: exit {third.status}: {third.said}"] if third.status else []
    problems += [f"3rd run: {call}" for call in third.writes]
    if (site.output / records.NAME).read_bytes() != before:
        problems.append("3rd run: published.json has changed")
    return problems


def looked_at(site: Site, first: Ran) -> list[str]:
    """What is wrong after a run that met a fault."""
    problems = [f"1st run: {what}" for what in site.problems(done=first.status == 0)]
    problems += [f"1st run: says {word}" for word in bad_words(first.said)]
    if first.status and not told(first):
        problems.append(f"1st run: says {first.said}")
    return problems


def told(ran: Ran) -> bool:
    """Whether the failure is told in one line with the region, and with a cure beneath."""
    lines = ran.said.splitlines()
    if ran.status not in (14, 15):
        return any(line.startswith("error: ") for line in lines) and any("To do: " in line for line in lines)
    of_regions = {number: set(line.split()) for number, line in enumerate(lines) if line.startswith(REGIONS)}
    at = [number for number, words in of_regions.items() if words & {"failed", "refused"}]
    return any("To do: " in "".join(lines[number + 1 : number + 3]) for number in at)


def meet(operation: str, fault: str, source: Path, folder: Path) -> tuple[Ran, list[str]]:
    """A run that meets a fault, and what is wrong with it, with the one that does the rest, and with one more."""
    scene = SCENES[operation]
    with serve(rate=0, disabled=OTHERS if scene.everywhere else ()) as aws:
        if scene.large:
            aws.make_bucket(f"zips-{AWAY}", AWAY)
            site = large_site(source, folder, aws)
        else:
            site = Site.copied(source, folder, aws, more={"all_regions": scene.everywhere})
        connect = None if operation == "GetCallerIdentity" else site.known
        scene.before(site)
        if fault:
            aws.fault(operation, fault, region="" if operation in NOWHERE else AWAY)
        first = site.run(connect=connect)
        problems = looked_at(site, first)
        if operation == "DeleteLayerVersion" and fault in FINAL:
            return first, problems + damaged(site)
        if not any(call.operation == operation for call in first.calls):
            problems.append(f"{operation} was not called")
        more = first.status or "stays in the bucket" in first.said
        problems += finished(site, connect) if more else idle(site, connect)
        for bucket in aws.world.buckets:
            keys = [key for key in (*aws.objects(bucket), *aws.uploads(bucket)) if key not in first.said]
            problems += [f"left in the bucket, and not told: {key}" for key in keys]
    return first, problems


def damaged(site: Site) -> list[str]:
    """What is wrong where a version that is not what was sent could not be deleted: it is there, for nobody."""
    again = site.run(connect=site.known)
    (name,) = [name for name in site.layers if site.counts()[AWAY, name] == 2]
    left, whole = site.aws.versions(AWAY, name)
    problems = [f"2nd run: exit {again.status}: {again.said}"] if again.status else []
    problems += ["the damaged version is shared"] if left["policy"] else []
    problems += [f"2nd run: {what}" for what in site.problems(done=True) if what != f"{AWAY} {name}: 2 versions"]
    entries = [one.version for one in records.read(site.output) if (one.region, one.layer) == (AWAY, name)]
    problems += [] if entries == [whole["Version"]] else [f"published.json has {entries}"]
    return problems + idle(site, site.known)


@pytest.mark.parametrize("operation", SCENES)
def test_every_fault_at_every_call(
    operation: str, built: Path, large: Path, tmp_path: Path, threads: Executor
) -> None:
    """One version each, shared as declared, whatever happened; the page says how many calls more it took."""
    fit = {name: fault for name, fault in FAULTS.items() if fault != LATE or operation in WRITES}
    columns = {name: fault for name, fault in fit.items() if not SCENES[operation].large or name in LARGE}
    faults = ["", *(fault for fault in columns.values())]
    source = large if SCENES[operation].large else built

    def meeting(fault: str) -> tuple[Ran, list[str]]:
        return meet(operation, fault, source, tmp_path / (fault.partition(":")[0] or "none"))

    met = dict(zip(faults, threads.map(meeting, faults), strict=True))
    assert {fault: problems for fault, (_, problems) in met.items() if problems} == {}
    calls = len(met[""][0].calls)

    def cell(fault: str) -> str:
        first, _ = met[fault]
        if first.status:
            return STOPS if fault == EXPIRED and first.status != 16 else f"exit {first.status}"
        return f"{len(first.calls) - calls:+d}"

    cells = [cell(columns[name]) if name in columns else "" for name in FAULTS]
    measured(f"`{operation}`", *cells)


# What is not one call's


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that is wrong with AWS for the whole of a run, and the words that tell it."""

    row: str  # of the page
    status: int
    words: tuple[str, ...]
    serve: dict[str, Any]
    faults: tuple[tuple[str, str], ...] = ()  # operation, what happens in the second region
    cured: dict[str, Any] | None = None  # what is different when it is over; None: the faults alone
    home: bool = True  # the first region is as it should be


TROUBLES = (
    Trouble(row="AWS stores other bytes than were sent", status=15, serve={}, words=("WrongContent", "it is deleted"),
            faults=(("PublishLayerVersion", "bad-sha"),)),
    Trouble(row="a region is down", status=15, serve={}, faults=(("*", "down"),), words=("Connection",)),
    Trouble(row="a region is not enabled", status=15, serve={"disabled": (AWAY,)}, cured={"disabled": ()},
            words=("UnrecognizedClientException", f"aws account enable-region --region-name {AWAY}")),
    Trouble(row="the code storage is full", status=14, serve={"storage": 100}, cured={"storage": 10**9}, home=False,
            words=("the code storage", "of 100 bytes are used", "delete versions")),
)  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda one: one.row.replace(" ", "-"))
def test_a_trouble_of_a_region(trouble: Trouble, built: Path, tmp_path: Path) -> None:
    with serve(rate=0, **trouble.serve) as aws:
        site = Site.copied(built, tmp_path / "site", aws)
        for operation, do in trouble.faults:
            aws.fault(operation, do, region=AWAY)
        first = site.run(connect=site.known)
        assert first.status == trouble.status, first.said
        assert [word for word in trouble.words if word not in first.said] == []
        counts = site.counts()
        assert looked_at(site, first) == []
        assert {counts[HOME, name] for name in site.layers} == {int(trouble.home)}
        aws.clear()
        for name, value in (trouble.cured or {}).items():
            setattr(aws.options, name, value)
        assert finished(site, site.known) == []
        away = sorted({counts[AWAY, name] for name in site.layers})
        calls = sum(call.region == AWAY for call in first.calls)
        measured(trouble.row, str(calls), " or ".join(map(str, away)), f"{first.status}, then 0")


def test_a_region_without_architecture_tags(built: Path, tmp_path: Path) -> None:
    with serve(rate=0, no_arm=(AWAY,)) as aws:
        # one layer: of two, one may already know what the other is told
        site = Site.copied(built, tmp_path / "site", aws, layers=("alpha",), more={"layers": ("alpha",)})
        first = site.run(connect=site.known)
        assert (first.status, looked_at(site, first)) == (0, []), first.said
        assert first.said.count("without architecture tags") == 1
        (there,) = aws.versions(AWAY, "alpha")
        assert (there["CompatibleRuntimes"], there.get("CompatibleArchitectures") or []) == ([RUNTIME], [])
        assert [one.tagged for one in records.read(site.output) if one.region == AWAY] == [False]
        assert finished(site, site.known) == []
        calls = sum(call.region == AWAY for call in first.calls)
        measured("a region takes no architecture tags", str(calls), "1", "0")


@pytest.mark.parametrize(
    ("everything", "times"), [("slow:0.02", ENDLESS), ("slow-after:0.02", ENDLESS), ("ThrottlingException", 5)]
)
def test_what_only_takes_longer(everything: str, times: int, site: Site) -> None:
    site.aws.fault("*", everything, times=times, after=1)
    slow = site.run()
    assert (slow.status, looked_at(site, slow)) == (0, [])
    site.aws.clear()
    assert finished(site) == []


def test_a_token_expires_at_any_call(built: Path, tmp_path: Path, threads: Executor) -> None:
    """From then on every call is refused: nothing more is tried, in any region."""

    def expiring(after: int) -> tuple[int, list[str]]:
        with serve(rate=0) as aws:
            site = Site.copied(built, tmp_path / str(after), aws)
            aws.fault("*", "expired", times=ENDLESS, after=after)
            first = site.run(connect=site.known)
            problems = looked_at(site, first)
            refused = sum(call.status in (400, 403) for call in first.calls)
            if refused > 2 * 4:  # what was under way already, in two regions
                problems.append(f"{refused} calls were refused")
            aws.clear()
            return first.status, problems + finished(site, site.known)

    found = list(threads.map(expiring, range(0, 32, 3)))
    assert [problems for _, problems in found if problems] == []
    assert found[0][0] == 14
    assert {status for status, _ in found} == {0, 14, 15}


@pytest.mark.parametrize(
    ("key", "code"), [("bad", "InvalidClientTokenId"), ("expired", "ExpiredToken")], ids=["wrong", "expired"]
)
def test_credentials_that_are_none(key: str, code: str, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", key)
        first = site.run()
    assert (first.status, looked_at(site, first)) == (16, [])
    assert code in first.said
    assert len(first.calls) == 1
    assert finished(site) == []


def test_no_credentials(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        for name in CLIENT:
            if name.startswith(("AWS_ACCESS", "AWS_SECRET", "AWS_SESSION")):
                patch.delenv(name)
        first = site.run()
    assert (first.status, list(first.calls), told(first)) == (16, [], True), first.said
    assert finished(site) == []


def test_nobody_answers(site: Site) -> None:
    def nowhere(region: str) -> Account:
        return Account.connect(endpoint_url="http://127.0.0.1:9", region=region)

    first = site.run(connect=nowhere)
    assert (first.status, looked_at(site, first)) == (16, []), first.said
    assert finished(site) == []


BUCKETS = {
    "the bucket is in another region": (HOME, "PermanentRedirect"),
    "there is no such bucket": ("", "NoSuchBucket"),
}


@pytest.mark.parametrize("row", BUCKETS)
def test_a_bucket_that_does_not_do(row: str, large: Path, tmp_path: Path, aws: Standin) -> None:
    where, code = BUCKETS[row]
    site = large_site(large, tmp_path / "site", aws)
    if where:
        aws.make_bucket(f"zips-{AWAY}", where)
    first = site.run(connect=site.known)
    assert (first.status, looked_at(site, first)) == (14, []), first.said
    assert code in first.said
    assert not site.counts()[AWAY, "alpha"]
    aws.make_bucket(f"zips-{AWAY}", AWAY)
    assert finished(site, site.known) == []
    assert aws.objects(f"zips-{AWAY}") == {}
    measured(row, str(len(first.calls)), "0", "14, then 0")


# Who else is there


def test_late_work_after_the_end_is_the_window(site: Site) -> None:
    """What AWS does of a lost call after everybody has looked makes a second version, which does no harm."""

    class Hurried(Stop):
        def sleep(self, seconds: float) -> None:
            super().sleep(0.001)

    site.aws.fault("PublishLayerVersion", "late:3", region=AWAY)
    first = site.run(Hurried(), connect=site.known)
    assert (first.status, looked_at(site, first)) == (0, [])
    site.aws.settle()
    counts = site.counts()
    assert sorted(counts.values()) == [1, 1, 1, 2]
    again = site.run(connect=site.known)
    assert (again.status, again.writes, site.counts()) == (0, [], counts)
    measured("the answer is lost, and the work done after all looks", str(len(first.calls)), "2", "0")


@pytest.mark.parametrize("where", ["the same folder", "other folders", "other machines"])
@pytest.mark.parametrize("lost", [False, True], ids=["answered", "lost"])
def test_runs_at_once(where: str, lost: bool, built: Path, tmp_path: Path) -> None:
    """Real processes, which are throttled together; on other machines they have no lock in common."""
    with serve(latency=0.02) as aws:
        first = Site.copied(built, tmp_path / "first", aws)
        sites = [first]
        if where != "the same folder":
            sites = [first, *(first.beside(f"{number}", cache=where == "other folders") for number in range(2))]
        if lost:
            aws.fault("PublishLayerVersion", "drop-after", region=AWAY)
        started = [site.start() for site in (sites if len(sites) > 1 else sites * 3)]
        said = [process.communicate(timeout=120)[0] for process in started]
        assert [process.returncode for process in started] == [0, 0, 0], said
        assert [bad_words(words) for words in said] == [[], [], []]
        assert [site.problems(done=True) for site in sites] == [[]] * len(sites)
        row = [[(one.arn, one.share) for one in records.read(site.output)] for site in sites]
        assert all(one == row[0] for one in row)
        assert [idle(site, site.known) for site in sites] == [[]] * len(sites)


def test_many_machines_at_once(built: Path, tmp_path: Path, threads: Executor) -> None:
    for number in range(3):
        with serve(rate=0) as aws:
            site = Site.copied(built, tmp_path / str(number), aws)
            sites = [site, *(site.beside(f"{number}-{other}", cache=False) for other in range(3))]
            ran = list(threads.map(lambda one: one.run(connect=one.known), sites))
            assert [one.said for one in ran if one.status] == []
            assert [one.problems(done=True) for one in sites] == [[]] * 4
            assert [idle(one, one.known) for one in sites] == [[]] * 4


@pytest.mark.parametrize("same", [True, False], ids=["the same bytes", "other bytes"])
def test_somebody_else_publishes_in_between(same: bool, site: Site) -> None:
    """After the last look, and before our call is done."""
    client = boto3.client("lambda", endpoint_url=site.aws.url, region_name=AWAY)
    seen: list[str] = []
    own = (site.output / "alpha.zip").read_bytes()
    other = (site.output / "beta.zip").read_bytes()

    known = site.known

    def between(region: str) -> Account:
        account = known(region)
        make = account._client

        def made(service: str, name: str, config: Any) -> Any:
            found = make(service, name, config)
            if (service, name) == ("lambda", AWAY):
                found.meta.events.register_first("before-send.lambda.PublishLayerVersion", publish)
            return found

        account._client = made  # type: ignore[method-assign, assignment]
        return account

    def publish(request: Any, **_: Any) -> None:
        if "/alpha/" in request.url and not seen:
            seen.append(request.url)
            client.publish_layer_version(
                LayerName="alpha", Content={"ZipFile": own if same else other}, CompatibleRuntimes=[RUNTIME],
                CompatibleArchitectures=["arm64"], Description="The layer alpha", LicenseInfo="MIT",
            )  # fmt: skip

    with closing(client):
        first = site.run(connect=between)
    assert seen
    assert first.status == 0, first.said
    versions = site.aws.versions(AWAY, "alpha")
    assert [one["Version"] for one in versions] == ([1] if same else [1, 2])
    again = site.run(connect=site.known)
    assert (again.status, again.writes) == (0, [])
    if same:
        assert site.problems(done=True) == []
    row = f"another tool publishes in between: {'the same' if same else 'other'} bytes"
    measured(row, str(len(first.calls)), str(len(versions)), "0")


# What this machine lacks

FULL = """
import resource, sys
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # a write ends there as on a full disk, and says so
from layerkit.cli import main
sys.argv[0] = "layerkit"
main()
"""
JOURNAL = 1_000_000 - 5_000  # bytes: below the size at which a journal is made shorter


@pytest.mark.parametrize("room", [0, 100, 300, 900, 1500])
def test_the_disk_is_full_when_the_journal_is_written(room: int, site: Site) -> None:
    """RLIMIT_FSIZE ends a file at the limit: the journal alone is as long as that."""
    folder = site.folder / f"cache/journal/{site.aws.options.account}@127.0.0.1_{site.aws.url.rpartition(':')[2]}"
    folder.mkdir(parents=True)
    (folder / f"{AWAY}.jsonl").write_bytes(b"x" * (JOURNAL - 1) + b"\n")
    process = site.start(launcher=("-c", FULL, str(JOURNAL + room)))
    said, _ = process.communicate(timeout=120)
    first = Ran(status=process.returncode, said=said)
    assert (first.status, looked_at(site, first)) == (15, []), said
    assert str(folder / f"{AWAY}.jsonl") in said or "File too large" in said
    if not room:
        assert not any(call.operation == "PublishLayerVersion" for call in site.aws.calls(region=AWAY))
    assert finished(site, site.known) == []


@contextmanager
def full_disk(folder: Path) -> Iterator[Path]:
    """A tmpfs, which root alone can make, in the place of a folder, with what it has; and what fills the tmpfs."""
    if os.geteuid() != 0:
        absent("root", "mounting takes root")
    aside = shutil.copytree(folder, folder.with_name(f"{folder.name}-aside"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)], check=False).returncode:
        absent("root", "mounting is not allowed here")
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        filler = folder / "filler"
        with filler.open("wb") as file, suppress(OSError):
            while True:
                os.write(file.fileno(), b"x" * 4096)
        yield filler
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_the_disk_is_really_full_when_the_journal_is_written(site: Site) -> None:
    shutil.rmtree(site.folder / "cache")
    (site.folder / "cache").mkdir()
    with full_disk(site.folder / "cache") as filler:
        first = site.run(connect=site.known)
        assert (first.status, looked_at(site, first), first.writes) == (14, [], []), first.said
        assert "No space left on device" in first.said
        filler.unlink()
        assert finished(site, site.known) == []


def test_the_disk_is_full_when_published_json_is_written(site: Site) -> None:
    with full_disk(site.output) as filler:
        first = site.run(connect=site.known)
        assert (first.status, told(first)) == (10, True), first.said
        assert "No space left on device" in first.said
        assert set(site.counts().values()) == {1}
        filler.unlink()
        second = site.run(connect=site.known)
        assert (second.status, second.writes, site.problems(done=True)) == (0, [], [])
        before = (site.output / records.NAME).read_bytes()
        with filler.open("wb") as file, suppress(OSError):
            while True:
                os.write(file.fileno(), b"x" * 4096)
        third = site.run(connect=site.known, layers=("alpha",), share=Share(public=True), yes_public=True)
        assert third.status == 10, third.said
        assert (site.output / records.NAME).read_bytes() == before


# What a loop without layerkit leaves


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_boto3_by_itself_publishes_twice(mode: str, site: Site) -> None:
    site.aws.fault("PublishLayerVersion", "drop-after", region=AWAY)
    config = Config(retries={"mode": mode})
    with closing(boto3.client("lambda", endpoint_url=site.aws.url, region_name=AWAY, config=config)) as client:
        client.publish_layer_version(LayerName="alpha", Content={"ZipFile": (site.output / "alpha.zip").read_bytes()})
    measured(f"boto3, {mode} retries", str(len(site.aws.versions(AWAY, "alpha"))))


def test_the_aws_cli_publishes_twice(site: Site) -> None:
    site.aws.fault("PublishLayerVersion", "drop-after", region=AWAY)
    program = str(tools("aws", AWS_CLI) / "aws")
    command = [program, "lambda", "publish-layer-version", "--layer-name", "alpha", "--region", AWAY,
               "--endpoint-url", site.aws.url, "--zip-file", f"fileb://{site.output / 'alpha.zip'}"]  # fmt: skip
    done = subprocess.run(command, env=site.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    measured("AWS CLI", str(len(site.aws.versions(AWAY, "alpha"))))


def test_layerkit_does_not(site: Site) -> None:
    site.aws.fault("PublishLayerVersion", "drop-after", region=AWAY)
    assert site.run(connect=site.known).status == 0
    (count,) = set(site.counts().values())
    measured("layerkit", str(count))
