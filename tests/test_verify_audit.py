"""Known vulnerabilities: uv asks a stand-in of OSV on loopback, over real HTTP."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import targets
from layerkit.verify.checks import audit
from layerkit.verify.checks.audit import AuditResult, Vulnerability
from layerkit.verify.facts import Entry, ZipFacts
from layerkit.verify.rules import Severity, rules
from layerkit.verify.subjects import Subject

RUNTIME = targets.find_runtime("python3.12")
assert RUNTIME
ARM = RUNTIME.target("arm64")
ADVISORY: dict[str, object] = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "modified": "2026-01-01T00:00:00Z",
    "summary": "Cookies are kept too long.",
    "aliases": ["CVE-2026-1"],
    "affected": [
        {
            "package": {"name": "flask", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.2.0"}]}],
        }
    ],
}


@dataclass
class Osv:
    """What the stand-in knows, and what it was asked; `body` is its answer to everything, if set."""

    url: str = ""
    advisories: dict[tuple[str, str], dict[str, object]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    status: int = 200
    body: bytes = b""

    def answer(self, path: str, sent: bytes) -> bytes:
        if self.body:
            return self.body
        if path == "/v1/querybatch":
            pins = [(query["package"]["name"], query["version"]) for query in json.loads(sent)["queries"]]
            self.asked += pins
            known = [self.advisories.get(pin) for pin in pins]
            short = [{"vulns": [{"id": one["id"], "modified": one["modified"]}]} if one else {} for one in known]
            return json.dumps({"results": short}).encode()
        return json.dumps(next(one for one in self.advisories.values() if path.endswith(f"/{one['id']}"))).encode()


@pytest.fixture
def osv(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Osv]:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("uv")))  # uv keeps advisories
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = Osv()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length") or 0))
            content = served.answer(self.path, sent)
            self.send_response(served.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()


def zip_of(label: str, *pins: tuple[str, str]) -> Subject:
    entries = tuple(
        Entry(path=f"python/{name}-{version}.dist-info/METADATA", text=f"Name: {name}\nVersion: {version}\n")
        for name, version in pins
    )
    return Subject(facts=ZipFacts(label=label, size=1, sha256="", entries=entries), targets=(ARM,))


def test_what_is_known(osv: Osv) -> None:
    osv.advisories["flask", "3.1.3"] = ADVISORY
    result = audit.audit([("flask", "3.1.3"), ("jinja2", "3.1.6")], service=osv.url)
    assert result == AuditResult(
        vulnerabilities=(
            Vulnerability(
                name="flask",
                version="3.1.3",
                id="GHSA-aaaa-bbbb-cccc",
                aliases=("CVE-2026-1",),
                fixed_in=("3.2.0",),
                summary="Cookies are kept too long.",
            ),
        )
    )
    assert sorted(osv.asked) == [("flask", "3.1.3"), ("jinja2", "3.1.6")]


def test_nothing_is_known(osv: Osv) -> None:
    assert audit.audit([("flask", "3.1.3")], service=osv.url) == AuditResult()
    assert osv.asked == [("flask", "3.1.3")]


def test_two_versions_are_two_questions(osv: Osv) -> None:
    osv.advisories["flask", "3.1.2"] = ADVISORY
    result = audit.audit([("flask", "3.1.3"), ("flask", "3.1.2"), ("flask", "3.1.2")], service=osv.url)
    assert sorted(osv.asked) == [("flask", "3.1.2"), ("flask", "3.1.3")]
    assert [(one.name, one.version) for one in result.vulnerabilities] == [("flask", "3.1.2")]


def test_a_local_version_is_asked_for_as_its_release(osv: Osv) -> None:
    osv.advisories["torch", "2.4.0"] = ADVISORY
    result = audit.audit([("torch", "2.4.0+cpu"), ("torch", "2.4.0")], service=osv.url)
    assert osv.asked == [("torch", "2.4.0")]
    assert [one.version for one in result.vulnerabilities] == ["2.4.0", "2.4.0+cpu"]


def test_versions_are_asked_for_in_their_normal_form(osv: Osv) -> None:
    osv.advisories["certifi", "2020.6.20"] = ADVISORY
    result = audit.audit([("certifi", "2020.06.20")], service=osv.url)
    assert [one.version for one in result.vulnerabilities] == ["2020.06.20"]


def test_the_service_of_the_environment(osv: Osv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(audit.SERVICE, osv.url)
    assert audit.audit([("flask", "3.1.3")]) == AuditResult()
    assert osv.asked == [("flask", "3.1.3")]


def test_settings_of_the_user_are_not_in_the_way(
    osv: Osv, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """uv would refuse --frozen beside UV_LOCKED, and read another project's lock."""
    monkeypatch.setenv("UV_LOCKED", "1")
    monkeypatch.setenv("UV_FROZEN", "1")
    monkeypatch.setenv("UV_PROJECT", str(tmp_path_factory.mktemp("other")))
    monkeypatch.setenv("UV_WORKING_DIR", str(tmp_path_factory.mktemp("other")))
    settings = tmp_path_factory.mktemp("config") / "uv"
    settings.mkdir()
    (settings / "uv.toml").write_text("offline = true\nno such line\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(settings.parent))
    assert audit.audit([("flask", "3.1.3")], service=osv.url) == AuditResult()
    assert osv.asked == [("flask", "3.1.3")]


def test_no_index_is_asked(osv: Osv, index: object) -> None:
    """Neither this machine's index nor one of the lock: names of private distributions go to the service alone."""
    from wheelhouse import Index

    assert isinstance(index, Index)
    audit.audit([("flask", "3.1.3")], service=osv.url)
    assert index.requests == []


def test_nothing_to_ask(osv: Osv) -> None:
    assert audit.audit([], service=osv.url) == AuditResult()
    assert list(audit.check([zip_of("own.zip")], service=osv.url)) == []
    assert osv.asked == []


def test_what_cannot_be_asked_for_is_told(osv: Osv) -> None:
    result = audit.audit([("flask", "3.1.3"), ("x", '1" }\n[evil]'), ("../x", "1")], service=osv.url)
    assert result.problem == r'not asked for, as no index can have it: x 1" }\n[evil], ../x 1'
    assert osv.asked == [("flask", "3.1.3")]


def test_nobody_answers() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    result = audit.audit([("flask", "3.1.3")], service=url)
    assert result.vulnerabilities == ()
    assert result.problem.startswith(f"uv audit could not ask: error sending request for url ({url}/v1/querybatch): ")
    assert "refused" in result.problem


def test_offline(osv: Osv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    result = audit.audit([("flask", "3.1.3")], service=osv.url)
    assert "offline mode" in result.problem
    assert osv.asked == []


def test_a_service_that_fails(osv: Osv) -> None:
    osv.status = 503
    osv.body = b"{}"
    result = audit.audit([("flask", "3.1.3")], service=osv.url)
    assert result.problem.startswith("uv audit could not ask: ")
    assert "503" in result.problem


def test_a_service_that_says_something_else(osv: Osv) -> None:
    osv.body = b"<html>please log in</html>"
    assert audit.audit([("flask", "3.1.3")], service=osv.url).problem.startswith("uv audit could not ask: ")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ("[]", "a mapping was expected, not list"),
        ("{}", "vulnerabilities should be a list, not NoneType"),
        ('{"vulnerabilities": [1]}', "a mapping was expected, not int"),
        ('{"vulnerabilities": [{"dependency": null}]}', "a mapping was expected, not NoneType"),
        ('{"vulnerabilities": [{"dependency": {}, "aliases": 1}]}', "aliases should be a list, not int"),
    ],
)
def test_another_form_of_answer(answer: str, why: str) -> None:
    assert audit.parsed(answer).problem == f"uv audit gave an answer that cannot be read: {why}"


def test_credentials_of_the_service_are_not_told() -> None:
    result = audit.audit([("flask", "3.1.3")], service="http://ann:hunter2@127.0.0.1:9")
    assert "refused" in result.problem
    assert "hunter2" not in result.problem


def test_a_service_that_does_not_answer() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        result = audit.audit([("flask", "3.1.3")], service=url, limit=0.3)
    assert result.problem == "the service of known vulnerabilities: no answer in 0.3 s"


def test_findings_are_told_of_every_zip_that_holds_it(osv: Osv) -> None:
    osv.advisories["flask", "3.1.3"] = ADVISORY
    zips = [zip_of("a.zip", ("flask", "3.1.3")), zip_of("b.zip", ("flask", "3.1.3"), ("six", "1.17.0"))]
    found = list(audit.check([*zips, zip_of("c.zip", ("six", "1.17.0"))], service=osv.url))
    assert [(one.rule, one.subject, one.path) for one in found] == [
        ("vulnerable", "a.zip", "python/flask-3.1.3.dist-info"),
        ("vulnerable", "b.zip", "python/flask-3.1.3.dist-info"),
    ]
    assert found[0].message == (
        "flask 3.1.3 has the known vulnerability GHSA-aaaa-bbbb-cccc (CVE-2026-1): Cookies are kept too long; "
        "fixed in 3.2.0"
    )


def test_a_vulnerability_without_a_fix_or_other_names(osv: Osv) -> None:
    osv.advisories["flask", "3.1.3"] = {"id": "PYSEC-2026-1", "modified": "2026-01-01T00:00:00Z"}
    found = list(audit.check([zip_of("a.zip", ("flask", "3.1.3"))], service=osv.url))
    assert [one.message for one in found] == [
        "flask 3.1.3 has the known vulnerability PYSEC-2026-1; no release fixes it yet"
    ]


def test_words_of_the_service_are_made_fit_to_print(osv: Osv) -> None:
    osv.advisories["flask", "3.1.3"] = {**ADVISORY, "summary": "\x1b[31mred\x07 " + "x" * 500}
    (found,) = audit.check([zip_of("a.zip", ("flask", "3.1.3"))], service=osv.url)
    assert found.message.isprintable()
    assert len(found.message) < 300


def test_not_run_is_told_of_every_zip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    found = list(audit.check([zip_of("a.zip", ("flask", "3.1.3"), ("six", "1")), zip_of("own.zip")]))
    assert [(one.rule, one.subject) for one in found] == [("audit-not-run", "a.zip")]
    assert "offline mode" in found[0].message


def test_severities() -> None:
    assert rules()["vulnerable"].severity is Severity.ERROR
    assert rules()["audit-not-run"].severity is Severity.WARNING


@settings(max_examples=15)  # each runs uv
@given(
    st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=3),
    st.from_regex(audit.NAME, fullmatch=True),
    st.from_regex(audit.VERSION, fullmatch=True),
)
def test_no_pin_breaks_the_question(pins: list[tuple[str, str]], name: str, version: str) -> None:
    """Whatever a zip says, the lock is one that uv reads: it fails for want of a service, not for what it reads."""
    result = audit.audit([*pins, (name, version)], service="http://127.0.0.1:9")
    assert "refused" in result.problem
