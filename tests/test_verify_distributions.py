"""Distributions of hand-made facts: what is read of any metadata, twice the same, what is missing, licences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit import targets
from layerkit.model import Target
from layerkit.verify.checks import distributions, licenses
from layerkit.verify.checks.distributions import Distribution
from layerkit.verify.facts import Entry, ZipFacts
from layerkit.verify.rules import Finding, Severity, rules
from layerkit.verify.subjects import Subject


def target(runtime: str = "python3.12", architecture: str = "arm64") -> Target:
    found = targets.find_runtime(runtime)
    assert found
    return found.target(architecture)


ARM = target()


def metadata(name: str, version: str = "1.0", *lines: str, root: str = "python") -> Entry:
    text = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *lines, "", "Text: no header"])
    return Entry(path=f"{root}/{name}-{version}.dist-info/METADATA", text=text)


def needs(name: str, *requirements: str, version: str = "1.0") -> Entry:
    return metadata(name, version, *(f"Requires-Dist: {one}" for one in requirements))


def zipped(*entries: Entry, label: str = "a.zip") -> ZipFacts:
    return ZipFacts(label=label, size=1, sha256="", entries=entries)


def subject(*entries: Entry, used: Sequence[ZipFacts] = (), licenses: Sequence[str] | None = None) -> Subject:
    allowed = None if licenses is None else tuple(licenses)
    return Subject(facts=zipped(*entries), targets=(ARM,), used=tuple(used), licenses=allowed)


def check(*entries: Entry, used: Sequence[ZipFacts] = ()) -> list[tuple[str, str]]:
    return told(distributions.check(subject(*entries, used=used)))


def told(findings: object) -> list[tuple[str, str]]:
    assert not isinstance(findings, str)
    return [(one.rule, one.message) for one in findings]  # type: ignore[attr-defined]


def only(*entries: Entry) -> Distribution:
    (found,) = distributions.installed(zipped(*entries), ARM)
    return found


# What is read


def test_all_fields() -> None:
    lines = (
        "Requires-Python: >=3.9",
        "License-Expression: BSD-3-Clause",
        "Provides-Extra: Async_Io",
        "Requires-Dist: blinker>=1.9",
        'Requires-Dist: asgiref>=3.2 ; extra == "async-io"',
    )
    assert only(metadata("Flask_Like", "3.1.3", *lines)) == Distribution(
        name="flask-like",
        version="3.1.3",
        location="python/Flask_Like-3.1.3.dist-info",
        requires=("blinker>=1.9", 'asgiref>=3.2 ; extra == "async-io"'),
        requires_python=">=3.9",
        licensing=("BSD-3-Clause", "", ()),
        extras=("async-io",),
    )


def test_headers_of_any_spelling_line_end_and_fold() -> None:
    text = "NAME: x\r\nversion:1\r\nLicense: MIT\r\n        License\r\nno header\r\n\r\nName: y\r\n"
    found = only(Entry(path="python/x-1.dist-info/METADATA", text=text))
    assert (found.name, found.version, found.license, found.problems) == ("x", "1", "MIT", ())


def test_egg_info() -> None:
    found = only(Entry(path="python/x-1-py3.12.egg-info/PKG-INFO", text="Name: x\nVersion: 1\n"))
    assert (found.name, found.version, found.location) == ("x", "1", "python/x-1-py3.12.egg-info")


def test_both_import_roots_in_the_order_of_sys_path() -> None:
    site = "python/lib/python3.12/site-packages"
    facts = zipped(metadata("a"), metadata("z", root=site), metadata("b"), metadata("c", root="other"))
    assert [one.name for one in distributions.installed(facts, ARM)] == ["z", "a", "b"]


def test_vendored_metadata_and_other_pythons_do_not_count() -> None:
    vendored = Entry(path="python/setuptools/_vendor/x-1.dist-info/METADATA", text="Name: x\nVersion: 1\n")
    other = metadata("y", root="python/lib/python3.11/site-packages")
    assert distributions.installed(zipped(vendored, other), ARM) == ()


def test_a_folder_s_own_name_where_there_is_no_metadata() -> None:
    found = only(Entry(path="python/Some_Thing-2.0.dist-info/RECORD"))
    assert (str(found), found.problems) == ("some-thing 2.0", ("has no metadata that can be read",))


def test_recorded_paths() -> None:
    rows = 'x.py,sha256=a,1\r\n"x,y.py",,\r\n../../bin/x,,\n'
    record = Entry(path="python/x-1.0.dist-info/RECORD", text=rows)
    facts = zipped(metadata("x"), record)
    found = distributions.recorded(facts, distributions.installed(facts, ARM))
    assert {"python/x.py", "python/x,y.py"} < found


# Metadata


def test_good_metadata_has_no_findings() -> None:
    assert check(metadata("x", "1.0", "Requires-Python: >=3.9")) == []


def test_metadata_that_cannot_be_read() -> None:
    broken = [
        (Entry(path="python/x-1.dist-info/METADATA", text="\0\0\0"), "x 1 has no metadata that can be read"),
        (Entry(path="python/x-1.dist-info/METADATA", text="Version: 1"), "x 1 has metadata without a name"),
        (Entry(path="python/x.dist-info/METADATA", text="Name: x"), "x 0 has metadata without a version"),
        (metadata("x", "one"), "x one has the version 'one', which is none by PEP 440"),
        (needs("x", "]["), "x 1.0 has 1 requirement that PEP 508 does not know: ]["),
        (
            needs("x", *["y >>"] * 5),
            "x 1.0 has 5 requirements that PEP 508 does not know: y >>, y >>, y >> and 2 more",
        ),
    ]
    for entry, message in broken:
        assert check(entry) == [("metadata", message)]


def test_metadata_that_was_not_read_is_told_of_the_zip_alone() -> None:
    assert check(Entry(path="python/x-1.dist-info/METADATA", unread="not read: the zip holds more than 9")) == []


def test_numbers_and_parentheses_without_an_end() -> None:
    version = "1" * 5000
    many = f"six; {'(' * 2000}os_name == 'posix'{')' * 2000}"
    entry = Entry(path="python/x-1.dist-info/METADATA", text=f"Name: x\nVersion: {version}\nRequires-Dist: {many}\n")
    found = check(entry)
    assert [rule for rule, _ in found] == ["metadata", "metadata"]
    assert all(len(message) < 450 for _, message in found)


# Twice


def test_one_distribution_once() -> None:
    assert check(metadata("x"), metadata("y"), used=[zipped(metadata("x"), label="used.zip")]) == []


def test_a_stale_dist_info() -> None:
    found = check(metadata("x", "1.0"), metadata("X", "2.0"))
    folders = "python/X-2.0.dist-info, python/x-1.0.dist-info"
    assert found == [("distribution-twice", f"x is installed 2 times: {folders}")]


def test_one_version_in_two_import_roots() -> None:
    site = "python/lib/python3.12/site-packages"
    (found,) = check(metadata("x"), metadata("x", root=site))
    assert found == ("distribution-twice", f"x is installed 2 times: {site}/x-1.0.dist-info, python/x-1.0.dist-info")


def test_another_version_in_a_used_layer() -> None:
    found = check(metadata("x", "2.0"), used=[zipped(metadata("x", "1.0"), label="used.zip")])
    message = "x 2.0 is in this layer, and x 1.0 in used.zip, which it uses: one would be right"
    assert found == [("distribution-twice", message)]


def test_versions_are_compared_as_versions() -> None:
    assert check(metadata("x", "1.0"), used=[zipped(metadata("x", "1.0.0"), label="used.zip")]) == []


# Requirements


NOBODY = "neither the layer, what it uses nor the runtime has it"


@pytest.mark.parametrize(
    ("requirement", "missing"),
    [
        ("y", ""),
        ("Y_>=1", ""),
        ("y>=1,<2", ""),
        ("y>=2", "y>=2, and 1.5 is there"),
        ("y!=1.5", "y!=1.5, and 1.5 is there"),
        ("z", f"z, and {NOBODY}"),
        ("Z.z~=1.0", f"z-z~=1.0, and {NOBODY}"),
        ("z; python_version < '3.12'", ""),
        ("z; sys_platform == 'win32'", ""),
        ("z; platform_machine == 'aarch64'", f"z, and {NOBODY}"),
        ("z; extra == 'more'", ""),
        ("z; os_name > 'posix'", ""),
        ("z; python_version ~= '3'", ""),
        ("y @ https://example.org/y.zip", ""),
        ("boto3>=99", ""),  # the runtime's, whose version changes
        ("urllib3", ""),
        ("pre>=2.0b1", ""),
        ("odd>=7", ""),  # its version is none
    ],
)
def test_requirements(requirement: str, missing: str) -> None:
    requirement = requirement.replace("Y_", "Y")
    there = (metadata("y", "1.5"), metadata("pre", "2.0b2"), Entry(path="python/odd-x.dist-info/METADATA",
             text="Name: odd\nVersion: x\n"))  # fmt: skip
    found = [message for rule, message in check(needs("x", requirement), *there) if rule == "requirement"]
    assert found == ([f"x 1.0 requires {missing}"] if missing else [])


def test_a_used_layer_provides() -> None:
    used = zipped(metadata("werkzeug", "3.1.9"), label="flask.zip")
    assert check(needs("serverless-wsgi", "Werkzeug>2"), used=[used]) == []
    assert check(needs("serverless-wsgi", "Werkzeug>2")) == [
        ("requirement", f"serverless-wsgi 1.0 requires werkzeug>2, and {NOBODY}")
    ]


def test_what_a_used_layer_lacks_is_told_of_that_layer() -> None:
    assert check(metadata("x"), used=[zipped(needs("y", "missing"), label="used.zip")]) == []


def test_extras_that_another_asks_for() -> None:
    extra = needs("y", "z; extra == 'More_Of'", "w; extra == 'other'")
    assert check(needs("x", "y[more-of]"), extra) == [("requirement", f"y 1.0 requires z, and {NOBODY}")]


def test_extras_of_extras_and_circles() -> None:
    first = needs("x", "y[a]", "x[own]", "v; extra == 'own'")
    second = needs("y", "y[b]; extra == 'a'", "z; extra == 'b'", "y[a]; extra == 'b'", "always")
    messages = [message for _, message in check(first, second)]
    assert sorted(messages) == [
        f"x 1.0 requires v, and {NOBODY}",
        f"y 1.0 requires always, and {NOBODY}",
        f"y 1.0 requires z, and {NOBODY}",
    ]


def test_the_target_is_named_where_there_are_several() -> None:
    both = replace(
        subject(needs("x", "z; platform_machine == 'x86_64'")), targets=(ARM, target(architecture="x86_64"))
    )
    message = f"x 1.0 requires z, and {NOBODY} (for python3.12-x86_64)"
    assert told(distributions.check(both)) == [("requirement", message)]


def test_a_requirement_s_end_is_bounded() -> None:
    """5,000 extras that each ask for all of 5,000 requirements would be hours of work."""
    extras = ",".join(f"e{number}" for number in range(800))
    lines = [f"x[{extras}]", *(f"y{number}; extra == 'e{number}'" for number in range(5000))]
    assert len(check(needs("x", *lines))) < 100


def test_severities() -> None:
    assert {
        rule: rules()[rule].severity for rule in ("distribution-twice", "requirement", "license", "metadata")
    } == {
        "distribution-twice": Severity.ERROR,
        "requirement": Severity.WARNING,  # the function may have it; the function view makes it an error
        "license": Severity.ERROR,
        "metadata": Severity.WARNING,
    }


# Licences


def licensed(*lines: str, allowed: Sequence[str] = ("MIT", "BSD-3-Clause")) -> list[str]:
    found = list(distributions.check(subject(metadata("x", "1.0", *lines), licenses=allowed)))
    assert all(one.rule == "license" and one.path == "python/x-1.0.dist-info" for one in found)
    return [one.message for one in found]


@pytest.mark.parametrize(
    "lines",
    [
        ["License-Expression: MIT"],
        ["License-Expression: mit"],
        ["License-Expression: GPL-3.0-only OR MIT"],
        ["License-Expression: (GPL-3.0-only OR MIT) AND BSD-3-Clause"],
        ["License-Expression: MIT WITH Bison-exception-2.2"],
        ["License: MIT"],
        ["License: The MIT License"],
        ["License: BSD"],
        ["License: BSD-3-Clause", "Classifier: License :: OSI Approved :: Apache Software License"],
        ["License: UNKNOWN", "Classifier: License :: OSI Approved :: MIT License"],
        ["License: Permission is hereby granted", "        free of charge", "Classifier: License :: MIT License"],
        ["Classifier: License :: OSI Approved", "Classifier: License :: OSI Approved :: BSD License"],
        ["Classifier: License :: OSI Approved :: BSD License", "Classifier: License :: OSI Approved :: MIT License"],
    ],
)
def test_allowed(lines: list[str]) -> None:
    assert licensed(*lines) == []


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["License-Expression: GPL-3.0-or-later"], "x 1.0 has the license GPL-3.0-or-later"),
        (["License-Expression: MIT AND GPL-3.0-only"], "x 1.0 has the license MIT AND GPL-3.0-only"),
        (["License-Expression: MIT OR"], "the license of x 1.0 is unknown: its metadata says 'MIT OR'"),
        (["License-Expression: Mine", "License: MIT"], "the license of x 1.0 is unknown: its metadata says 'Mine'"),
        (["License: Ask me"], "the license of x 1.0 is unknown: its metadata says 'Ask me'"),
        (["License: Apache 2.0"], "x 1.0 has the license Apache-2.0"),
        ([], "the license of x 1.0 is unknown"),
        (
            [
                "Classifier: License :: OSI Approved :: MIT License",
                "Classifier: License :: Other/Proprietary License",
            ],
            "x 1.0 has the license (MIT) AND (LicenseRef-Proprietary)",
        ),
        (
            ["Classifier: License :: OSI Approved :: MIT License", "Classifier: License :: Freeware"],
            "the license of x 1.0 is unknown: its metadata says 'MIT License, Freeware'",
        ),
    ],
)
def test_not_allowed(lines: list[str], message: str) -> None:
    assert licensed(*lines) == [f"{message}; allowed: MIT, BSD-3-Clause"]


def test_no_list_allows_everything() -> None:
    assert check(metadata("x", "1.0", "License-Expression: GPL-3.0-only")) == []


@pytest.mark.parametrize(
    ("allowed", "spdx", "answer"),
    [
        ("GPL-2.0-only", "GPL-2.0", True),
        ("GPL-2.0", "GPL-2.0-only", True),
        ("GPL-2.0-only", "GPL-2.0+", True),  # "or later" lets one take 2.0
        ("GPL-2.0-only", "GPL-2.0-or-later", True),
        ("GPL-2.0-or-later", "GPL-2.0-only", False),
        ("GPL-3.0-only", "GPL-2.0-only", False),
        ("Apache-2.0", "Apache-2.0 WITH LLVM-exception", True),
        ("apache-2.0 WITH llvm-exception", "Apache-2.0 WITH LLVM-exception", True),
        ("Apache-2.0 WITH LLVM-exception", "Apache-2.0", False),
        ("LicenseRef-ours", "LicenseRef-Ours", True),
        ("MIT", "MIT AND (GPL-3.0-only OR MIT AND MIT)", True),
        ("MIT", "GPL-3.0-only OR MIT AND ISC", False),
    ],
)
def test_expressions(allowed: str, spdx: str, answer: bool) -> None:
    assert licenses.allows([allowed], spdx) is answer


@given(st.recursive(
    st.sampled_from(["MIT", "ISC", "Zlib"]),
    lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda three: f"({' '.join(three)})"),
    max_leaves=8,
))  # fmt: skip
def test_expressions_as_python_reads_them(spdx: str) -> None:
    oracle = spdx.replace("AND", "and").replace("OR", "or")
    for allowed in ([], ["MIT"], ["MIT", "Zlib"], ["MIT", "ISC", "Zlib"]):
        names = {name: name in allowed for name in ("MIT", "ISC", "Zlib")}
        assert licenses.allows(allowed, licenses.expression(spdx, "", ())) is eval(oracle, names)


def test_expressions_without_an_end_are_unknown() -> None:
    assert licenses.expression("(" * 50 + "MIT" + ")" * 50, "", ())
    assert licenses.expression("(" * 51 + "MIT" + ")" * 51, "", ()) == ""
    assert licenses.expression(" OR ".join(["MIT"] * 500), "", ()) == ""


def test_every_mapped_name_is_an_spdx_expression() -> None:
    for spdx in (*licenses.CLASSIFIERS.values(), *licenses.NAMES.values()):
        assert licenses.expression(spdx, "", ()) == spdx


def test_own_source_has_the_layer_s_license() -> None:
    own = subject(Entry(path="python/ours/__init__.py"), licenses=["MIT"])
    assert list(distributions.check(own, "MIT")) == []
    assert list(distributions.check(own)) == []  # nobody says
    message = "the layer's own source has the license Secret; allowed: MIT"
    assert list(distributions.check(own, "Secret")) == [
        Finding(rule="license", subject="a.zip", path="python/ours/__init__.py", message=message)
    ]


def test_a_layer_without_own_source_needs_no_license_of_its_own() -> None:
    record = Entry(path="python/x-1.0.dist-info/RECORD", text="x.py,,\n")
    compiled = Entry(path="python/__pycache__/x.cpython-312.pyc")
    junk = Entry(path="python/._x.py")  # of macOS
    entries = (metadata("x", "1.0", "License: MIT"), record, Entry(path="python/x.py"), compiled, junk)
    assert list(distributions.check(subject(*entries, licenses=["MIT"]), "GPL-3.0-only")) == []


# Hostile


@given(st.text() | st.lists(st.sampled_from(
    ["Name: x", "Version: 1", "Version: \x1b[1m", "Requires-Dist: y[z]; extra == 'a'", "Requires-Dist: \0 ; ((",
     "License: (((", "License-Expression: MIT AND (", "Provides-Extra: \n", " folded", "\r", ":", "Name:"]
)).map("\n".join), st.text(alphabet=st.characters(exclude_characters="/"), max_size=30))  # fmt: skip
def test_any_metadata(text: str, name: str) -> None:
    entry = Entry(path=f"python/{name}.dist-info/METADATA", text=text)
    hostile = subject(entry, needs("a", "x[a]"), used=[zipped(entry, label="b.zip")], licenses=["MIT"])
    for finding in distributions.check(hostile, text):
        assert finding.message.isprintable()
        assert finding.rule in rules()


@given(st.text(alphabet="xyz10.,;<>=!~[]()@ '\"#\\\x00andorextpython_version"))
def test_any_requirement(text: str) -> None:
    list(distributions.check(subject(needs("x", text.replace("\n", " ")))))


@given(st.text(), st.text(), st.lists(st.text().map("License :: ".__add__)))
def test_any_license(declared: str, text: str, classifiers: list[str]) -> None:
    spdx = licenses.expression(declared, text, classifiers)
    assert not spdx or isinstance(licenses.allows(["MIT"], spdx), bool)
    assert isinstance(licenses.words(declared, text, classifiers), str)
