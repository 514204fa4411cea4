"""Leaks: which forms are told, what of documents and tests is none, and that no cut of a file hides one.

All secrets are put together here, of pieces and random letters: the text of this file holds none.
"""

from __future__ import annotations

import base64
import marshal
import os
import random
import re
import string
import time
import zlib
from dataclasses import replace
from pathlib import Path
from re import _parser as parser  # type: ignore[attr-defined]

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit.model import Target
from layerkit.verify.checks import compiled
from layerkit.verify.checks.leaks import check
from layerkit.verify.facts import Bytecode, Entry, Leak, ZipFacts
from layerkit.verify.leaks import MOST_TRIED, Scanner, forms, hostpaths
from layerkit.verify.leaks.forms import BEHIND, MOST, REACH, Form
from layerkit.verify.rules import Finding, Severity, rules
from layerkit.verify.subjects import Subject

ROOT_HOME = "/root"  # of any Linux, as images build in it

LETTERS = string.ascii_letters + string.digits
DASHES = "-" * 5
ARM = Target(runtime="python3.12", architecture="arm64", glibc=(2, 34), image="")


def drawn(size: int, letters: str = LETTERS, seed: int = 1) -> str:
    """Random letters, the same each time."""
    return "".join(random.Random(seed).choices(letters, k=size))


def summed(prefix: str, seed: int = 1) -> str:
    """A token with the checksum that GitHub's and npm's have."""
    body, number, digits = drawn(30, seed=seed), zlib.crc32(drawn(30, seed=seed).encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = (string.digits + string.ascii_uppercase + string.ascii_lowercase)[digit] + digits
    return prefix + body + digits


def pem(sort: str = "", *, body: str = "", end: str = "\n", headers: str = "", block: str = "") -> str:
    body = body or base64.b64encode(random.Random(2).randbytes(300)).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return end.join([f"{DASHES}BEGIN {sort}PRIVATE KEY{block}{DASHES}", *([headers] if headers else []), *lines])


def told(content: str | bytes, path: str = "python/app.py", *, binary: bool = False) -> list[Leak]:
    scanner = Scanner(path, binary=binary)
    scanner.feed(content.encode() if isinstance(content, str) else content)
    return list(scanner.leaks())


def words(content: str | bytes, path: str = "python/app.py", *, binary: bool = False) -> list[str]:
    return [leak.what for leak in told(content, path, binary=binary)]


AWS = drawn(16, string.ascii_uppercase + "234567")
SECRET = drawn(40, LETTERS + "+/")
SECRETS = {
    "an AWS access key id (AKIA…)": "AK" + "IA" + AWS,
    "an AWS access key id (ASIA…)": "AS" + "IA" + AWS,
    "an AWS secret access key": f"aws_secret_access_key = {SECRET}",
    "a GitHub token (ghp_…)": summed("gh" + "p_"),
    "a GitHub token (gho_…)": summed("gh" + "o_"),
    "a GitHub token (ghu_…)": summed("gh" + "u_"),
    "a GitHub token (ghr_…)": summed("gh" + "r_"),
    "a GitHub token (ghs_…)": "gh" + f"s_12345_eyJ{drawn(60)}.eyJ{drawn(90)}.{drawn(90)}",
    "a GitHub token (github_pat_…)": "github_" + f"pat_{drawn(22)}_{drawn(59)}",
    "a GitLab token (glpat-…)": "glp" + f"at-{drawn(20)}",
    "a Slack token (xox…)": "xo" + f"xb-{drawn(12, string.digits)}-{drawn(13, string.digits)}-{drawn(24)}",
    "the address of a Slack webhook (hooks.slack.com/services/…)":
        "https://hooks.slack.com/serv" + f"ices/T{AWS[:8]}/B{AWS[3:11]}/{drawn(24)}",
    "a PyPI token (pypi-AgE…)": "pyp" + f"i-AgEIcHlwaS5vcmc{drawn(150, LETTERS + '-_')}",
    "an npm token (npm_…)": summed("np" + "m_"),
    "a Stripe key of a live account (sk_live_…)": "sk_" + f"live_{drawn(24)}",
    "a Stripe key of a live account (rk_live_…)": "rk_" + f"live_{drawn(99)}",
    "a Google API key (AIza…)": "AI" + f"zaSy{drawn(33, LETTERS + '-_')}",
    "an OpenAI key (sk-…)": f"sk-proj-{drawn(74)}T3Blb" + f"kFJ{drawn(74)}",
    "an Anthropic key (sk-ant-…)": "sk-" + f"ant-api03-{drawn(93, LETTERS + '-_')}AA",
    "a SendGrid key (SG.…)": "S" + f"G.{drawn(22)}.{drawn(43)}",
    "a Hugging Face token (hf_…)": "h" + f"f_{drawn(34, string.ascii_letters)}",
    "a DigitalOcean token (dop_v1_…)": "dop_" + f"v1_{drawn(64, '0123456789abcdef')}",
    "a key of an Azure storage account (AccountKey=…)": "Account" + f"Key={drawn(86)}==",
}  # fmt: skip
KEYS = {
    "PKCS #8": pem(),
    "RSA": pem("RSA "),
    "OPENSSH": pem("OPENSSH "),
    "ENCRYPTED": pem("ENCRYPTED "),
    "EC": pem("EC ", headers="Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF\n"),
    "PGP": pem("PGP ", block=" BLOCK", headers="Version: GnuPG v2\n"),
    "DSA": pem("DSA ", end="\r\n"),
}


class TestSecrets:
    @pytest.mark.parametrize("what", SECRETS)
    @pytest.mark.parametrize("around", ["{}", "x = '{}'\n", '{{"key": "{}"}}', "a: {}\nb", "\n\n  {}\n"])
    def test_tokens_of_known_forms_are_told_without_their_secret_part(self, what: str, around: str) -> None:
        content = around.format(SECRETS[what])
        assert told(content) == [Leak(kind="secret", what=what, line=3 if around[0] == "\n" else 1)]

    @pytest.mark.parametrize("what", [what for what in SECRETS if what != "an AWS secret access key"])  # no constant
    def test_constants_of_bytecode_are_found_whatever_marshal_writes_behind_them(self, what: str) -> None:
        for constants in ((SECRETS[what], None), (SECRETS[what], "r" * 3), (SECRETS[what],) * 2):
            found = told(marshal.dumps(constants), "python/__pycache__/app.cpython-312.pyc")
            assert found[:1] == [Leak(kind="secret", what=what)]

    @pytest.mark.parametrize("prefix", ["gh" + "p_", "np" + "m_"])
    def test_a_wrong_checksum_is_no_token(self, prefix: str) -> None:
        good = summed(prefix)
        assert words(good)
        assert not words(good[:-1] + ("a" if good[-1] != "a" else "b"))
        assert not words(good[:10] + ("a" if good[10] != "a" else "b") + good[11:])

    def test_the_checksum_is_that_of_a_published_token(self) -> None:
        # long revoked; of questions about the form of GitHub's tokens
        assert forms.checksum(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ") == b"0mLq17"

    @pytest.mark.parametrize(
        "content",
        [
            "AK" + "IAIOSFODNN7EXAMPLE",
            "AK" + "IA" + "X" * 16,
            "AK" + "IA" + AWS[:15],
            "AK" + "IA" + AWS + "Q7",  # longer: something else
            "d/AK" + "IA" + AWS,  # in the middle of base64
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY",
            f"aws_secret_access_key = {drawn(40, '0123456789abcdef')}",  # a hash of git
            "aws_secret_access_key = os.environ['AWS_SECRET_ACCESS_KEY']",
            f"sha = {SECRET}",  # nobody says that it is a secret
            "sk_" + "test_" + drawn(24),
            "sk_" + "live_" + "x" * 24,
            "hooks.slack.com/serv" + "ices/T00000000/B00000000/" + "X" * 24,
            "xo" + "xb-your-token-here",
            "gh" + "p_" + "x" * 36,
            "Account"
            + "Key=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
            "hf_" + "hub_download_of_some_thing_or_other_file",
            "shf_" + drawn(34, string.ascii_letters),
            "AI" + "zaSyDaGmWKa4JsXZ",  # cut off
        ],
    )
    def test_what_documents_and_programs_write_is_none(self, content: str) -> None:
        assert told(content) == []

    @pytest.mark.parametrize(
        "before",
        [
            "aws_secret_access_key=",
            '"SecretAccessKey": "',
            "AWS_SECRET_ACCESS_KEY: ",
            "secretAccessKey => '",
            "<SecretAccessKey>",
            'os.environ["AWS_SECRET_ACCESS_KEY"] = "',
        ],
    )
    def test_forms_of_assignment(self, before: str) -> None:
        assert words(f"{before}{SECRET}\n") == ["an AWS secret access key"]

    def test_nothing_secret_is_kept(self) -> None:
        for content in (*SECRETS.values(), *KEYS.values()):
            for leak in told(content):
                assert not any(content[at : at + 12] in leak.what for at in range(len(content) - 12) if
                               content[at : at + 12] not in "https://hooks.slack.com/services/")  # fmt: skip


class TestPrivateKeys:
    @pytest.mark.parametrize("sort", KEYS)
    @pytest.mark.parametrize("binary", [False, True])
    def test_are_told_with_their_sort(self, sort: str, binary: bool) -> None:
        leak = Leak(kind="private-key", what=f"a private key ({sort})", line=0 if binary else 2)
        assert told(f"\n{KEYS[sort]}", binary=binary) == [leak]

    def test_in_json_and_in_the_strings_of_a_program(self) -> None:
        assert words('{"private_key": "' + pem(end="\\n") + '"}') == ["a private key (PKCS #8)"]
        assert words(pem("RSA ", end="\\n'\n    b'")) == ["a private key (RSA)"]
        assert words(pem("RSA ", end='\\n" +\n    "')) == ["a private key (RSA)"]

    @pytest.mark.parametrize(
        "content",
        [
            f"{DASHES}BEGIN PRIVATE KEY{DASHES}",
            f'START = "{DASHES}BEGIN RSA PRIVATE KEY{DASHES}"\nEND = "{DASHES}END RSA PRIVATE KEY{DASHES}"',
            pem(body="MIIEvQIBADANBgkq..."),
            pem(body="x" * 200),
            pem(body="AAAA" * 40),
            pem().replace("PRIVATE", "PUBLIC"),
            pem().replace("PRIVATE KEY", "CERTIFICATE"),
            f"{DASHES}BEGIN PRIVATE KEY{DASHES}\n"
            + "The words of some document that goes on, and on, for long. " * 5,
        ],
    )
    def test_headers_and_places_for_keys_are_none(self, content: str) -> None:
        assert told(content) == []


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "host"),
        [
            ("https://ann:s3cr3tWord@index.corp.io/simple", "index.corp.io"),
            ("https://aws:{jwt}@corp-1.d.codeartifact.eu-west-1.amazonaws.com/pypi", None),
            ("https://ann:p%40ss9Zq@nexus:8081/repository", "nexus"),
            ("git+https://ci:Q8rTz71k@git.corp.io/x.git", "git.corp.io"),
            ("postgresql://app:hj34kHsd@db.corp.io/app", "db.corp.io"),
            ("redis://:hj34kHsd@cache.corp.io", "cache.corp.io"),
        ],
    )
    def test_with_a_password_are_told_by_their_hosts(self, url: str, host: str | None) -> None:
        host = host or "corp-1.d.codeartifact.eu-west-1.amazonaws.com"
        content = "[global]\nindex-url = " + url.replace("{jwt}", drawn(200))
        assert told(content, "python/pip.conf") == [
            Leak(kind="index-credentials", what=f"a password in a URL (…:…@{host})", line=2)
        ]

    def test_with_a_token_alone(self) -> None:
        assert words(f"ssh://{drawn(24)}@jobs.corp.io/") == []  # a name that says nothing
        assert words(f"http://{drawn(24)}@index.corp.io/") == ["a token in a URL (…@index.corp.io)"]
        assert words(f"https://{drawn(24)}@index.corp.io/simple") == ["a token in a URL (…@index.corp.io)"]

    @pytest.mark.parametrize(
        "url",
        [
            "user:password@host",
            "user:pass@example.com",
            "ann:s3cr3tWord@index.example.org",
            "${USER}:${PASS}@index.corp.io",
            "{user}:{password}@index.corp.io",
            "<user>:<token>@index.corp.io",
            "%s:%s@index.corp.io",
            "user:pass1234@index.corp.io",
            "USER:PASSWORD@index.corp.io",
            "ann:your-token@index.corp.io",
            "__token__:$TOKEN@upload.corp.io",
            "ann:****@index.corp.io",
            "ann:xxxx@index.corp.io",
            "guest:guest@rabbit.corp.io",
            "scott:tiger@db.corp.io",
            "ann:s3cr3tWord@localhost:5432",
            "ann:s3cr3tWord@127.0.0.1",
            "bob:pa55@db",
            "a:b@corp.io",
            "ann@corp.io",
            "git@github.com/x",
            f"{'a' * 30}@corp.io",
            f"{drawn(32, '0123456789abcdef')}@o1.ingest.sentry.io/1",
            "corp.io:8080/x?mail=ann@corp.io",
        ],
    )
    def test_places_for_passwords_are_none(self, url: str) -> None:
        assert told(f"see https://{url} there") == []


def constant(path: str) -> bytes:
    """As CPython writes a .pyc: head and code."""
    return bytes(16) + marshal.dumps(compile("def f(): pass", path, "exec"))


class TestHostPaths:
    PYC = "python/__pycache__/app.cpython-312.pyc"

    @pytest.mark.parametrize(
        "path",
        [
            "/home/ann/app/app.py",
            "/Users/ann/app.py",
            f"{ROOT_HOME}/app.py",
            "/builds/corp/app.py",
            f"/home/a/{'x' * 270}.py",
            "/home/runner/work/app/app.py",
            "/tmp/pip-target-abc/app.py",
            "/home/jörg/app.py",
        ],
    )
    def test_bytecode_that_names_its_source_there(self, path: str) -> None:
        shown = path if len(path) <= 150 else path[:149] + "…"
        expected = [] if "ö" in path else [Leak(kind="host-path", what=shown)]
        assert told(constant(path), self.PYC) == expected

    def test_bytecode_with_other_texts_and_paths_is_none(self) -> None:
        source = '"""Like /home/ann/app.py is."""\nX = "/home/ann/settings"\nY = "see /home/ann/app.py"\n'
        code = compile(source, "/opt/python/app.py", "exec")
        assert told(bytes(16) + marshal.dumps(code), self.PYC) == []

    @pytest.mark.parametrize(
        ("line", "path"),
        [
            ("#!/home/ann/.venv/bin/python", "/home/ann/.venv/bin/python"),
            ("#!/work/venv/bin/python3.12 -E", "/work/venv/bin/python3.12"),
            ("#! /srv/python", "/srv/python"),
            ("#!C:\\Python312\\python.exe", "C:\\Python312\\python.exe"),
            ('#!"/srv/python"', "/srv/python"),
            ("#!/bin/sh\n'''exec' /home/ann/long/python \"$0\"", "/home/ann/long/python"),
        ],
    )
    def test_scripts_that_start_with_a_python_that_lambda_lacks(self, line: str, path: str) -> None:
        assert told(f"{line}\nimport flask\n", "python/bin/flask") == [Leak(kind="host-path", what=path, line=1)]

    @pytest.mark.parametrize(
        "content",
        [
            "#!/usr/bin/env python3\n",
            "#!/bin/sh\n",
            "#!/var/lang/bin/python3.12\n",
            "#!/opt/python/bin/x\n",
            "#!python\n",
            "x = 1\n#!/home/ann/python\n",
            "# is in /home/ann/app.py, or C:\\Users\\ann\n",
        ],
    )
    def test_other_scripts_and_documents_are_none(self, content: str) -> None:
        assert told(content, "python/bin/x") == []

    @pytest.mark.parametrize(
        ("path", "content", "what"),
        [
            ("a-1.dist-info/direct_url.json", '{"url": "file:///srv/a"}', "file:///srv/a"),
            ("a-1.dist-info/RECORD", "a.py,,\n/home/ann/bin/a,,\n", "/home/ann/bin/a"),
            ("_sysconfigdata__linux_.py", "x = {'CC': 'gcc -I/home/ann/include -O2'}", "/home/ann/include"),
            ("lib/pkgconfig/x.pc", "prefix=/builds/corp/x\n", "/builds/corp/x"),
            ("x.egg-link", "/Users/ann/x\n.", "/Users/ann/x"),
            ("x.pth", "C:\\Users\\ann\\x\n", ":\\Users\\ann\\x"),
        ],
    )
    def test_files_that_tools_write(self, path: str, content: str, what: str) -> None:
        assert words(content, f"python/{path}") == [what]
        assert words(content, "python/a.txt") == []

    def test_an_address_is_no_path(self) -> None:
        assert told("Home-page = https://corp.io/home/ann/x", "python/x.pc") == []

    def test_binaries(self) -> None:
        content = b"\0/home/ann/x/main.c\0-I/Users/ann/inc\0https://a.io/home/bob/x\0x/home/bob/y\0"
        assert words(content, "x.so", binary=True) == ["/home/ann/x/main.c", "/Users/ann/inc"]

    @pytest.mark.parametrize(
        "path",
        ["/home/runner/work/x.c", f"{ROOT_HOME}/.cargo/registry/x.rs", "/home/.cargo/registry/x.rs", "/builds/x/x.c"],
    )
    def test_binaries_of_public_build_images_are_none(self, path: str) -> None:
        assert told(b"\0" + path.encode() + b"\0", "x.so", binary=True) == []

    def test_control_characters_are_not_shown(self) -> None:
        assert words("/home/ann/\x1b[31mx", "x.pc") == []
        assert words("file:///srv/\x9b1m\u202e", "a.dist-info/direct_url.json") == [r"file:///srv/\x9b1m\u202e"]


PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [*SECRETS.values(), *KEYS.values(), "https://ann:s3cr3tWord@index.corp.io/", "#!/srv/python\n"]
        ),
        st.sampled_from(["\n", " ", "'", "://", "_", DASHES, "/home/ann/x", "x" * 3000, "\n" * 2100, "://a:b"]),
        st.text(max_size=20),
    ),
    max_size=8,
).map(lambda pieces: "".join(pieces).encode("utf-8", "surrogatepass"))
FILES = [("a.py", False), ("a.pyc", False), ("x.pc", False), ("a.dist-info/direct_url.json", False), ("a.so", True)]


class TestPieces:
    @settings(max_examples=200, deadline=None)
    @given(content=PIECES, file=st.sampled_from(FILES), data=st.data())
    def test_no_cut_changes_what_is_found(self, content: bytes, file: tuple[str, bool], data: st.DataObject) -> None:
        path, binary = file
        cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=12)))
        scanner = Scanner(path, binary=binary)
        for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
            scanner.feed(content[begin:end])
        assert list(scanner.leaks()) == told(content, path, binary=binary)

    @pytest.mark.parametrize("size", [1, 7, 64, 1000, 2048, 5000])
    def test_small_pieces_of_a_file_with_everything(self, size: int) -> None:
        content = (
            ("\n" + "y" * 900)
            .join([*SECRETS.values(), *KEYS.values(), pem("EC ") * 3] * 2)
            .encode()[: 200 * size + 30000]
        )
        whole, scanner = told(content), Scanner("python/app.py", binary=False)
        for at in range(0, len(content), size):
            scanner.feed(content[at : at + size])
        assert len(whole) > 20
        assert list(scanner.leaks()) == whole

    def test_what_is_part_of_one_leak_is_no_other(self) -> None:
        content = b"\0/home/ann/x-I/home/bob/y\0" + bytes(REACH)
        for cut in range(REACH, REACH + 30):
            scanner = Scanner("x.so", binary=True)
            scanner.feed(content[:cut])
            scanner.feed(content[cut:])
            assert [one.what for one in scanner.leaks()] == ["/home/ann/x-I/home/bob/y"]

    def test_a_piece_is_not_taken_for_the_start_of_the_file(self) -> None:
        content = b"x = 1\n#!/srv/python\n" + b"y" * 3 * REACH
        for cut in range(REACH, REACH + BEHIND + 30):
            scanner = Scanner("a.py", binary=False)
            scanner.feed(content[:cut])
            scanner.feed(content[cut : 2 * REACH + BEHIND])
            scanner.feed(content[2 * REACH + BEHIND :])
            assert scanner.leaks() == ()

    def test_a_form_is_given_up_in_a_file_full_of_what_is_nearly_one(self) -> None:
        near, real = "gh" + "p_" + "x" * 36 + "\n", summed("gh" + "p_")
        assert [one.line for one in told(near * (MOST_TRIED - 1) + real)] == [MOST_TRIED]
        assert told(near * MOST_TRIED + real) == []

    def test_a_secret_after_a_line_without_end(self) -> None:
        token = SECRETS["a GitHub token (ghp_…)"]
        scanner = Scanner("app.js", binary=False)
        for _ in range(50):
            scanner.feed(b"var a;" * 20_000)
        scanner.feed(b"\n" + token.encode())
        assert list(scanner.leaks()) == [Leak(kind="secret", what="a GitHub token (ghp_…)", line=2)]

    def test_what_is_held_of_a_file_is_bounded(self) -> None:
        scanner = Scanner("app.js", binary=False)
        for _ in range(100):
            scanner.feed(b"x" * 10_000)
        assert len(scanner._data) <= 10_000 + REACH + BEHIND

    def test_of_many_a_few_are_kept(self) -> None:
        content = "\n".join(summed("gh" + "p_", seed) for seed in range(100)) + "\n" + pem()
        found = told(content)
        assert [leak.line for leak in found] == [*range(1, MOST + 1), 101]

    def test_lines_of_many_matches_are_counted_in_one_go(self) -> None:
        """Or a file of 16 MB would take minutes."""
        content = "\n" + "x" * 4_000_000 + "https://ann:s3cr3tWord@corp.io/ " * 9_000
        started = time.process_time()
        assert [one.line for one in told(content)] == [2]
        assert time.process_time() - started < 5

    def test_a_file_without_content(self) -> None:
        assert Scanner("a.py", binary=False).leaks() == ()
        assert told(b"") == []

    @pytest.mark.parametrize(
        "unit",
        [
            "://",
            "://a:",
            "://a:b@c.d ",
            "gh" + "p_",
            f"{DASHES}BEGIN PRIVATE KEY{DASHES}\n",
            "Aa: ",
            "T3Blb" + "kFJ",
            f"{DASHES}BEGIN PRIVATE KEY{DASHES}\nAaa: Aaa: Aaa: Aaa:",
            "_" * 9,
            "a" * 22 + "_",
            "\\n",
            "/home/a/",
        ],
    )
    def test_files_full_of_nearly_one_do_not_hang(self, unit: str) -> None:
        for path, binary in FILES:
            assert len(told(unit.encode() * (300_000 // len(unit)), path, binary=binary)) <= 2 * MOST


class TestForms:
    """What the cutting of files relies on."""

    ALL: tuple[Form, ...] = tuple(
        {
            form.pattern: form
            for path, binary in [*FILES, (".npmrc", False)]
            for form in (*forms.forms(path, binary=binary), *hostpaths.forms(path, binary=binary))
        }.values()
    )

    @pytest.mark.parametrize("form", ALL, ids=lambda form: form.pattern.pattern[:20].decode())
    def test_no_form_is_longer_than_what_is_held(self, form: Form) -> None:
        assert parser.parse(form.pattern.pattern, form.pattern.flags & re.VERBOSE).getwidth()[1] < REACH

    @pytest.mark.parametrize("form", ALL, ids=lambda form: form.pattern.pattern[:20].decode())
    def test_each_begins_with_a_fixed_byte_that_re_looks_for_fast(self, form: Form) -> None:
        first = parser.parse(form.pattern.pattern, form.pattern.flags & re.VERBOSE)[0]
        assert str(first[0]) == "LITERAL"

    def test_a_path_in_bytecode_is_not_longer_either(self) -> None:
        assert hostpaths.LONGEST < REACH


def subject(*entries: Entry) -> Subject:
    return Subject(facts=ZipFacts(label="x.zip", size=1, sha256="", entries=entries), targets=(ARM,))


def judged(*entries: Entry) -> list[Finding]:
    return list(check(subject(*entries)))


def entry(path: str, *leaks: Leak, size: int = 10, text: str = "") -> Entry:
    return Entry(path=path, size=size, leaks=leaks, text=text)


def leak(kind: str, what: str, line: int = 0) -> Leak:
    return Leak(kind=kind, what=what, line=line)


class TestFindings:
    def test_a_file_with_secrets_of_several_kinds(self) -> None:
        secrets = [leak("secret", "a GitHub token (ghp_…)", line) for line in (3, 9, 12)]
        found = judged(entry("python/a.py", *secrets, leak("private-key", "a private key (RSA)", 5)))
        assert found == [
            Finding(rule="secret", subject="x.zip", path="python/a.py", line=3,
                    message="holds a GitHub token (ghp_…) and 2 more; secrets are to be read at run time"),
            Finding(rule="private-key", subject="x.zip", path="python/a.py", line=5,
                    message="holds a private key (RSA); keys are to be fetched at run time"),
        ]  # fmt: skip

    def test_more_than_were_kept(self) -> None:
        [found] = judged(entry("a", *[leak("secret", "a token", line) for line in range(1, MOST + 1)]))
        assert found.message == "holds a token and at least 19 more; secrets are to be read at run time"

    def test_a_url_with_a_password(self) -> None:
        [found] = judged(entry("python/pip.conf", leak("index-credentials", "a password in a URL (…:…@a.io)", 1)))
        assert found.message == "holds a password in a URL (…:…@a.io); no address may hold a password"

    @pytest.mark.parametrize(
        "path",
        [
            ".env",
            "python/.env",
            "python/.env.local",
            "python/.env.production",
            "python/.env-old",
            "python/.envrc",
            "python/.netrc",
            "python/_netrc",
            "python/.pypirc",
            "python/.git-credentials",
            "python/.ssh/id_rsa",
            "python/id_ed25519",
            "python/.aws/credentials",
            "python/.docker/config.json",
            "python/.kube/config",
        ],
    )
    def test_files_of_credentials(self, path: str) -> None:
        name = path.rpartition("/")[2]
        message = f"is {name}, a file made to hold credentials; credentials are to be read at run time"
        assert judged(entry(path)) == [Finding(rule="env-file", subject="x.zip", path=path, message=message)]

    @pytest.mark.parametrize(
        "path",
        [
            ".env.example",
            "a/.env.sample",
            "a/.env.template",
            "a/.env.local.example",
            "a/.env.dist",
            "a/.env/bin/python",
            "a/env.py",
            "a/.environment",
            "a/id_rsa.pub",
            "a/aws/credentials",
            "a/config.json",
            "a/.npmrc",
            "a/dotenv",
        ],
    )
    def test_other_files(self, path: str) -> None:
        assert judged(entry(path)) == []

    def test_an_empty_file_holds_no_credentials(self) -> None:
        assert judged(entry("python/.env", size=0)) == []

    def test_a_file_of_credentials_is_told_once_where_its_content_is(self) -> None:
        found = judged(entry("python/id_rsa", leak("private-key", "a private key (RSA)", 1)))
        assert [one.rule for one in found] == ["private-key"]

    def test_npmrc_with_a_token(self) -> None:
        scanned = told(f"//npm.corp.io/:_authToken={drawn(36)}\n", "python/.npmrc")
        [found] = judged(entry("python/.npmrc", *scanned))
        assert (found.rule, found.line) == ("env-file", 1)
        assert found.message == "holds a token of a registry; credentials are to be read at run time"
        assert told("//npm.corp.io/:_authToken=${NPM_TOKEN}\n", "python/.npmrc") == []

    RECORD = entry("python/acme_x-1.2.dist-info/RECORD", text='acme/t.key,sha256=x,1\n"a,b.py",,\n../bin/x,,\n'
                   "acme/m.py,,\nacme_x-1.2.dist-info/direct_url.json,,\nacme/.env,,\n")  # fmt: skip

    @pytest.mark.parametrize(
        "path",
        [
            "python/acme/t.key",
            "python/a,b.py",
            "bin/x",
            "python/acme/__pycache__/m.cpython-312.pyc",
            "python/acme/m.pyc",
        ],
    )
    def test_what_a_distribution_brought_is_a_warning(self, path: str) -> None:
        [found] = judged(entry(path, leak("private-key", "a private key (EC)")), self.RECORD)
        assert (found.rule, found.path) == ("secret-in-distribution", path)
        assert found.message == (
            "holds a private key (EC); acme_x 1.2 brought it, and only test data of its maker may be such"
        )

    def test_a_file_of_credentials_of_a_distribution(self) -> None:
        [found] = judged(entry("python/acme/.env"), self.RECORD)
        assert found.rule == "secret-in-distribution"
        assert found.message.startswith("is .env, a file made to hold credentials; acme_x 1.2 brought it")

    def test_direct_url_is_the_installers(self) -> None:
        path = "python/acme_x-1.2.dist-info/direct_url.json"
        [found] = judged(entry(path, leak("index-credentials", "a password in a URL (…:…@a.io)", 1)), self.RECORD)
        assert found.rule == "index-credentials"

    @pytest.mark.parametrize("text", ["a\0b,,\n", "x" * 200_000 + ",,", '"', "\n\n,,\n"])
    def test_a_damaged_record_lists_nothing(self, text: str) -> None:
        found = judged(
            entry("python/a.py", leak("secret", "a token", 1)), entry("python/a-1.dist-info/RECORD", text=text)
        )
        assert [one.rule for one in found] == ["secret"]

    def test_bytecode_does_not_tell_its_source_again(self) -> None:
        pyc = "python/__pycache__/a.cpython-312.pyc"
        secret = leak("secret", "a token", 4)
        assert [one.path for one in judged(entry("python/a.py", secret), entry(pyc, leak("secret", "a token")))] == [
            "python/a.py"
        ]
        assert [one.path for one in judged(entry("python/a.py"), entry(pyc, leak("secret", "a token")))] == [pyc]

    def test_host_paths_of_files_that_were_made_together_are_one_finding(self) -> None:
        python = leak("host-path", "/home/ann/python", 1)
        found = judged(
            entry("bin/a", python), entry("bin/b", python), entry("bin/c", leak("host-path", "/srv/python", 1)),
            *[entry(f"{name}.pyc", leak("host-path", f"/home/ann/{name}.py")) for name in "xyz"],
        )  # fmt: skip
        assert [(one.rule, one.path, one.line, one.message) for one in found] == [
            ("host-path", "bin/a", 1, "names /home/ann/python, of the machine that built it, and so does 1 more file;"
             " only paths below /opt are true in Lambda"),
            ("host-path", "bin/c", 1, "names /srv/python, of the machine that built it;"
             " only paths below /opt are true in Lambda"),
            ("host-path", "x.pyc", 0, "names /home/ann/x.py, of the machine that built it, and so do 2 more"
             " compiled files; only paths below /opt are true in Lambda"),
        ]  # fmt: skip

    def test_a_binary_with_many_paths(self) -> None:
        [found] = judged(entry("x.so", leak("host-path", "/home/ann/a.c"), leak("host-path", "/home/ann/b.c")))
        assert found.message == (
            "names /home/ann/a.c and 1 more, of the machine that built it; only paths below /opt are true in Lambda"
        )

    PYC, OF = "python/acme/__pycache__/m.cpython-312.pyc", "/home/ann/acme/m.py"

    def test_a_host_path_that_bytecode_path_tells_is_not_told_again(self) -> None:
        source = entry("python/acme/m.py")
        bytecode = Bytecode(magic=3531, hashed=True, checked=False, name=self.OF)
        pyc = replace(entry(self.PYC, leak("host-path", self.OF)), bytecode=bytecode)
        assert [one.rule for one in compiled.check(subject(pyc, source))] == ["bytecode-path"]
        assert judged(pyc, source) == []
        other = replace(pyc, leaks=(leak("host-path", self.OF), leak("host-path", "/home/ann/n.py")))
        assert [one.message for one in judged(other, source)] == [
            "names /home/ann/n.py, of the machine that built it; only paths below /opt are true in Lambda"
        ]

    def test_a_host_path_of_bytecode_that_python_does_not_use_is_told(self) -> None:
        bytecode = Bytecode(magic=3531, hashed=True, checked=False, name=self.OF)
        lost = replace(entry(self.PYC, leak("host-path", self.OF)), bytecode=bytecode)
        assert "bytecode-path" not in [one.rule for one in compiled.check(subject(lost))]
        assert [one.path for one in judged(lost)] == [self.PYC]

    WHEEL = entry(
        "python/acme_x-1.2.dist-info/WHEEL", text="Wheel-Version: 1.0\nTag: cp312-abi3-manylinux_2_28_aarch64\n"
    )
    BUILT = entry("python/acme_x-1.2.dist-info/WHEEL", text="Tag: cp312-cp312-linux_aarch64\r\n")
    FROM = entry("python/acme_x-1.2.dist-info/direct_url.json")

    def test_host_paths_of_a_wheel_are_its_makers(self) -> None:
        named = entry("python/acme/m.py", leak("host-path", "/home/ci/m.c"))
        assert judged(named, self.RECORD, self.WHEEL) == judged(named, self.RECORD) == []
        for here in ((), (self.RECORD, self.BUILT), (self.RECORD, self.WHEEL, self.FROM)):
            assert [one.path for one in judged(named, *here)] == [named.path]
        other = entry("python/other.so", leak("host-path", "/home/ci/m.c"))
        assert [one.path for one in judged(other, self.RECORD, self.WHEEL)] == [other.path]

    @pytest.mark.parametrize(
        "path",
        [
            "python/acme_x-1.2.dist-info/direct_url.json",
            "python/acme_x-1.2.dist-info/RECORD",
            "python/acme/m.pyc",
            "bin/x",
        ],
    )
    def test_host_paths_that_an_installer_wrote_are_told(self, path: str) -> None:
        text = "acme/m.pyc,,\nacme_x-1.2.dist-info/RECORD,,\nacme_x-1.2.dist-info/direct_url.json,,\n../bin/x,,\n"
        record = entry("python/acme_x-1.2.dist-info/RECORD", text=text)
        named = replace(entry(path, leak("host-path", "/home/ann/x"), text=text), script=path == "bin/x")
        others = () if path == record.path else (record,)
        assert [(one.rule, one.path) for one in judged(named, *others, self.WHEEL)] == [("host-path", path)]

    @pytest.mark.parametrize(
        ("path", "python", "is_told"),
        [
            ("python/bin/x", f"{ROOT_HOME}/venv/bin/python", False),
            ("python/lib/python3.12/site-packages/bin/x", "/home/runner/venv/bin/python", False),
            ("bin/x", f"{ROOT_HOME}/venv/bin/python", True),  # on PATH: it would be run, and fail
            ("python/bin/x", "/home/ann/venv/bin/python", True),
        ],
    )
    def test_scripts_that_no_one_runs_may_begin_with_a_python_of_a_build_image(
        self, path: str, python: str, is_told: bool
    ) -> None:
        script = replace(entry(path, leak("host-path", python, 1)), script=True)
        assert [one.path for one in judged(script)] == [path] * is_told
        later = replace(script, leaks=(leak("host-path", python, 2),))
        assert [one.path for one in judged(later)] == [path]

    def test_the_first_line_of_a_makers_module_is_no_installers(self) -> None:
        named = replace(entry("python/acme/m.py", leak("host-path", "/home/ci/python", 1)), script=True)
        assert judged(named, self.RECORD, self.WHEEL) == []

    def test_a_clean_zip(self) -> None:
        assert judged(entry("python/a.py"), self.RECORD) == []


def test_the_rules_and_their_severities() -> None:
    severities = {rule.id: rule.severity for rule in rules().values() if rule.group == "leaks"}
    errors = dict.fromkeys(["secret", "private-key", "index-credentials", "env-file"], Severity.ERROR)
    assert severities == errors | dict.fromkeys(["host-path", "secret-in-distribution"], Severity.WARNING)


def test_the_standard_library_has_no_secrets() -> None:
    """A megabyte of real programs; its documents and tests name passwords, keys and paths in many ways."""
    found = [
        (file.name, leak)
        for file in sorted(Path(os.__file__).parent.glob("*.py"))
        for leak in told(file.read_bytes(), f"python/{file.name}")
        if leak.kind != hostpaths.KIND  # this Python's own folder
    ]
    assert found == []
