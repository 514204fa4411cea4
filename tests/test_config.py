"""layers.yaml -> LayersFile: what a good file becomes, and that a bad one is told in words, never in a traceback.

Single mistakes are in layers_examples; here is what a file says as a whole, and what no schema knows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import checks, config, environment, publishing
from layerkit.config import load
from layerkit.errors import ConfigError
from layerkit.model import (
    BucketPlace,
    Bytecode,
    Checks,
    Environment,
    Function,
    Layer,
    LayersFile,
    Prune,
    Publishing,
    Share,
    Target,
)
from layers_examples import GOOD, UNSEEN, built, container, function, layer, layers, top, write
from test_schema import schema_refuses

EVERYTHING = next(example.text for example in GOOD if example.name == "everything")


def mistakes(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return caught.value


AWS_IMAGE = "public.ecr.aws/sam/build-{runtime}:latest-{architecture}"


def target(minor: int, architecture: str, image: str = AWS_IMAGE) -> Target:
    return Target(
        runtime=f"python3.{minor}",
        architecture=architecture,
        glibc=(2, 26 if minor < 12 else 34),
        image=image.format(runtime=f"python3.{minor}", architecture=architecture),
    )


# What a good file becomes


def test_everything_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, EVERYTHING)
    image = "registry.example.com:5000/team/build-{runtime}:3-{architecture}"
    base = Layer(
        key="base",
        name="_base-layer",
        targets=tuple(target(minor, a, image) for minor in range(10, 15) for a in ("arm64", "x86_64")),
        description="What all have: 100 %",
        license="MIT",
        requirements=("Flask[async]>=3.1,<4 ; python_version >= '3.12'", "werkzeug"),
        prune=frozenset(Prune),
        environment=Environment(system_packages=("gcc", "libpq-devel")),
        checks=Checks(
            licenses=("MIT", "LGPL-2.1-or-later WITH GCC-exception-2.0"),
            waivers={"executable-stack": "seen to run, 2026"},
        ),
    )
    above = Layer(
        key="top",
        name="top",
        targets=(target(12, "x86_64", image),),
        license="none",
        uses=("base",),
        source=path.parent / "code" / "inner",
        bytecode=Bytecode.ONLY,
        environment=Environment(network=False, pack_libraries=False),
        checks=Checks(
            imports=("top", "top.part_1"),
            licenses=("0BSD",),
            waivers={"executable-stack": "seen to run, 2026", "glibc": "not called"},
        ),
    )
    assert load(path) == LayersFile(
        path=path,
        layers={"base": base, "top": above},
        functions={
            "hello": Function(
                key="hello",
                layers=("base", "top"),
                source=path.parent / "code",
                handler="app/main.handler",
                environment={"STAGE": "test", "TZ": "Europe/Berlin", "empty_1": "", "x9": "17", "long": "a\nb = {é}"},
                timeout=900,
                memory=10240,
            ),
            "bare": Function(key="bare", layers=(), checks=Checks(waivers={"function-shadow": "on purpose"})),
        },
        publishing=Publishing(
            regions=("us-east-1", "us-gov-west-1", "eusc-de-east-1"),
            share=Share(accounts=("012345678901", "123456789012"), organization="o-abcde12345"),
            bucket=BucketPlace(name="{account}-layers.{region}", prefix="zips/new/", keep=True, reference=True),
            parameters="/team/layers",
        ),
        step_limit=90 * 60,
    )


def test_what_is_not_said(tmp_path: Path) -> None:
    path = write(tmp_path, top(""))
    plain = Layer(key="a", name="a", targets=(target(12, "arm64"),), source=path.parent / "code")
    assert load(path) == LayersFile(path=path, layers={"a": plain})


@pytest.mark.parametrize(
    ("written", "requirements"),
    [
        ("[Flask>=3.1,<4]", ("Flask>=3.1,<4",)),
        ("[Flask >= 3.1, < 4, x, y>1,~=1.2,<2]", ("Flask >= 3.1,< 4", "x", "y>1,~=1.2,<2")),
        ("['Flask>=3.1,!=3.1.2', \"Flask<4\"]", ("Flask>=3.1,!=3.1.2", "Flask<4")),
        ("\n      - Flask>=3.1,!=3.1.2 # why\n      - x", ("Flask>=3.1,!=3.1.2", "x")),
    ],
    ids=["one", "several", "quoted", "block"],
)
def test_requirements_that_yaml_splits_are_whole_again(
    written: str, requirements: tuple[str, ...], tmp_path: Path
) -> None:
    assert load(write(tmp_path, layer(f"requirements: {written}"))).layers["a"].requirements == requirements


@pytest.mark.parametrize(
    ("written", "share"),
    [
        ("private", Share()),
        ("public", Share(public=True)),
        ("{organization: o-abcdefghij}", Share(organization="o-abcdefghij")),
        # the second is an octal number to YAML
        (
            "{accounts: [012345678901, 012345670123, '000000000000']}",
            ("012345678901", "012345670123", "000000000000"),
        ),
    ],
    ids=["private", "public", "organization", "accounts"],
)
def test_share(written: str, share: Share | tuple[str, ...], tmp_path: Path) -> None:
    expected = share if isinstance(share, Share) else Share(accounts=share)
    assert load(write(tmp_path, top(f"publish: {{share: {written}}}"))).publishing.share == expected


@pytest.mark.parametrize(
    ("written", "bucket"),
    [
        ("abc", BucketPlace(name="abc", prefix="layerkit/")),
        ("{name: abc, prefix: ''}", BucketPlace(name="abc", prefix="")),
        ("{name: abc, prefix: x}", BucketPlace(name="abc", prefix="x/")),
        ("{name: abc, keep: on}", BucketPlace(name="abc", keep=True)),
        ("{name: abc, mode: copy}", BucketPlace(name="abc", keep=False, reference=False)),
        ("{name: abc, mode: reference}", BucketPlace(name="abc", keep=True, reference=True)),
    ],
)
def test_bucket(written: str, bucket: BucketPlace, tmp_path: Path) -> None:
    assert load(write(tmp_path, top(f"publish: {{bucket: {written}}}"))).publishing.bucket == bucket


@pytest.mark.parametrize("prefix", ["/a" * 10, f"/{'p' * 799}", "/a" * 9 + f"/{'p' * 781}"])
def test_names_of_parameters_stay_within_what_ssm_takes(prefix: str, tmp_path: Path) -> None:
    """15 levels and 1011 characters (SSM's PutParameter)."""
    written = load(write(tmp_path, top(f"publish: {{parameters: {prefix}}}"))).publishing.parameters
    name = f"{written}/{'l' * 140}/python3.99/x86_64/{10**9}"
    assert name.count("/") <= 15
    assert len(name) <= 1011


@pytest.mark.parametrize(
    ("written", "images"),
    [
        (AWS_IMAGE, [f"public.ecr.aws/sam/build-python3.12:latest-{a}" for a in ("arm64", "x86_64")]),
        ("team/{architecture}:{runtime}_{architecture}", [f"team/{a}:python3.12_{a}" for a in ("arm64", "x86_64")]),
        ("build:{runtime}", ["build:python3.12"] * 2),
        (f"build:1@sha256:{'0' * 64}", [f"build:1@sha256:{'0' * 64}"] * 2),
    ],
    ids=["AWS's", "own", "for all architectures", "pinned"],
)
def test_an_image_is_each_targets(written: str, images: list[str], tmp_path: Path) -> None:
    text = container(f"image: '{written}'") + "defaults: {architectures: [arm64, x86_64]}\n"
    assert [target.image for target in load(write(tmp_path, text)).layers["a"].targets] == images


@pytest.mark.parametrize(
    ("lines", "seconds"), [([], 1800), (["step_minutes: 1"], 60), (["step_minutes: 1440"], 86_400)]
)
def test_a_step_is_limited_in_seconds(lines: list[str], seconds: int, tmp_path: Path) -> None:
    assert load(write(tmp_path, container("image: build", *lines))).step_limit == seconds


@pytest.mark.parametrize(
    ("defaults", "written", "expected"),
    [
        ("{}", "system_packages: [make, gcc-c++]", Environment(system_packages=("gcc-c++", "make"))),
        ("{}", "system_packages: []", Environment()),
        ("{}", "network: none", Environment(network=False)),
        ("{}", "pack_libraries: no", Environment(pack_libraries=False)),
        ("{network: none, pack_libraries: false}", "", Environment(network=False, pack_libraries=False)),
        ("{network: none}", "network: default", Environment()),
        ("{network: default}", "network: none", Environment(network=False)),
        ("{pack_libraries: false}", "pack_libraries: ON", Environment()),
    ],
)
def test_what_builds_find(defaults: str, written: str, expected: Environment, tmp_path: Path) -> None:
    text = built(written) + f"defaults: {defaults}\n"
    assert load(write(tmp_path, text)).layers["a"].environment == expected


def test_the_order_of_system_packages_says_nothing(tmp_path: Path) -> None:
    text = layers(*(f"{k}: {{requirements: [x], system_packages: [{p}]}}" for k, p in (("a", "z, b"), ("b", "b, z"))))
    file = load(write(tmp_path, text))
    assert file.layers["a"].environment == file.layers["b"].environment


def test_a_runtime_of_next_year_is_built_for_with_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path, layers("a: {source: code}", "b: {source: code}") + "defaults: {runtimes: [python3.15]}\n")
    file = load(path)
    assert file.layers["b"].targets == (target(15, "arm64"),)
    assert file.warnings == (
        "layers.yaml: line 5: defaults.runtimes[0]: python3.15 is not a runtime that this layerkit knows "
        "(python3.10, python3.11, python3.12, python3.13, python3.14); built as for the newest of them",
    )


def test_a_function_that_switches_its_layers_off_is_warned_of(tmp_path: Path) -> None:
    text = "functions:\n  f:\n    layers: [a]\n    environment:\n      AB: x\n      PYTHONPATH: /var/task/lib\n"
    file = load(write(tmp_path, top(text + "  g: {layers: [], environment: {PYTHONPATH: x}}")))
    assert file.functions["f"].environment == {"AB": "x", "PYTHONPATH": "/var/task/lib"}
    assert file.warnings == (
        "layers.yaml: line 8: functions.f.environment.PYTHONPATH: "
        "where it is set, Lambda's Python looks into no layer",
    )


@pytest.mark.parametrize(
    "written", ["5ecre7: 12345", "AB: [s, 12345]", "AB: 12345", "AB: !12345 x", 'AB: "12345\\0"']
)
def test_no_mistake_shows_what_a_variable_holds(written: str, tmp_path: Path) -> None:
    error = mistakes(write(tmp_path, function(f"environment: {{{written}}}")))
    assert "12345" not in str(error)


def test_aliases_say_the_same_again(tmp_path: Path) -> None:
    text = layers("a: &a {requirements: &r [x], runtimes: [python3.13]}", "b: {requirements: *r, name: c}")
    file = load(write(tmp_path, text))
    assert file.layers["a"].requirements == file.layers["b"].requirements == ("x",)


def test_a_mistake_in_an_alias_is_told_where_it_stands_and_for_whom(tmp_path: Path) -> None:
    error = mistakes(write(tmp_path, layers("a: &a", "  source: code", "  license: 1", "  name: a", "b: *a")))
    assert [str(problem) for problem in error.problems] == [
        "line 5: layers.a.license: must be text, not a number (1)",
        "line 5: layers.b.license: must be text, not a number (1)",
        "line 6: layers.b.name: 'a' is the name in AWS of the layer 'a', too",
    ]


@pytest.mark.parametrize(
    "written",
    [
        EVERYTHING.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + EVERYTHING.encode(),
        b"\xef\xbb\xbf" + EVERYTHING.replace("\n", "\r\n").rstrip().encode(),
        EVERYTHING.replace("\n", "\r").encode(),
    ],
    ids=["CRLF", "BOM", "BOM, CRLF, no last end of line", "CR"],
)
def test_line_endings_and_byte_order_marks_change_nothing(written: bytes, tmp_path: Path) -> None:
    path = write(tmp_path, written)
    read = load(path)
    path.write_text(EVERYTHING)
    assert read == load(path)
    path.write_bytes(written.replace(b"license: MIT", b"license: [M]"))
    assert [(p.line, p.path) for p in mistakes(path).problems] == [(5, "defaults.license")]


def test_the_project_may_be_reached_by_a_link_or_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write(tmp_path, top("")).parent
    link = tmp_path / "link"
    link.symlink_to(project)
    assert load(link / "layers.yaml").layers["a"].source == link / "code"
    monkeypatch.chdir(project)
    assert load(Path("layers.yaml")).layers["a"].source == project / "code"


# What is wrong with the file itself


def test_a_missing_file(tmp_path: Path) -> None:
    error = mistakes(tmp_path / "layers.yaml")
    assert str(error) == (
        f"layers.yaml: there is no layers.yaml in {tmp_path}\n  To do: layerkit init writes a starter file"
    )
    assert error.exit_code == 3


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert str(mistakes(tmp_path)).startswith(f"{tmp_path.name}: cannot be read\n  ")


@pytest.mark.parametrize("text", ["", "\n\n", "# version: 1\n", "\ufeff"], ids=["nothing", "lines", "comment", "BOM"])
def test_an_empty_file(text: str, tmp_path: Path) -> None:
    assert str(mistakes(write(tmp_path, text))).startswith("layers.yaml: is empty\n  To do: layerkit init")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param("version: 1\nlayers:\n\ta: {}\n", 3, "YAML is indented with spaces, not tabs", id="tab"),
        pytest.param("version: 1\nlayers: [\n", 3, "while parsing", id="open bracket"),
        pytest.param("version: 1\n name: x\n", 2, "mapping values are not allowed", id="indented"),
        pytest.param(layer("description: Flask: web"), 5, "quote a text that holds ': '", id="colon"),
        pytest.param(layer("description: @x"), 5, "quote a text that begins with @", id="at"),
        pytest.param(layer("requirements: [x<4, >=3]"), 5, "quote a text that begins with >", id="greater"),
        pytest.param(layer("requirements: [x<4, !=3]"), 5, "", id="not equal"),
        pytest.param(layer("description: 'x"), 6, "found unexpected end of stream", id="open quote"),
        pytest.param("a: 1\n---\na: 1\n", 2, "expected a single document", id="two documents"),
        pytest.param("a: 1\nb: *c\n", 2, "undefined alias", id="unknown alias"),
        pytest.param("é: 1\nb: \x00\n", 2, "a character that YAML does not allow", id="null byte"),
        pytest.param("a: é\nb: é\n\n  \x1b[31m: 1\n", 4, "a character that YAML does not allow", id="escape"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(text: str, line: int, words: str, tmp_path: Path) -> None:
    error = mistakes(write(tmp_path, text))
    (problem,) = error.problems
    assert error.what == "is not YAML"
    assert (problem.line, problem.path) == (line, "")
    assert words in problem.message
    assert str(error).count("\n") == 1


def test_what_is_not_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    error = mistakes(write(tmp_path, top("# Größe").encode("latin-1")))
    assert str(error) == "layers.yaml: is not UTF-8\n  line 3: invalid start byte"


# How mistakes are told


def test_all_mistakes_come_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    text = (
        "layers:\n  a:\n    source: ../a\n    runtime: 3.12\n    uses: [b]\nversion: 2\ndefaults: {prune: [docs]}\n"
    )
    error = mistakes(write(tmp_path, text))
    assert error.exit_code == 3
    assert str(error).splitlines() == [
        "layers.yaml: has 5 mistakes",
        "  line 3: layers.a.source: '../a' is not a folder: write it relative to layers.yaml, without ..",
        "  line 4: layers.a.runtime: unknown key 'runtime'; write runtimes: [python3.12]",
        "  line 5: layers.a.uses[0]: there is no layer 'b'; known: a",
        "  line 6: version: must be the number 1, not a number (2): this layerkit reads version 1",
        "  line 7: defaults.prune[0]: 'docs' is not a group of files; known: tests, stubs, sources",
    ]


def test_one_mistake_is_one(tmp_path: Path) -> None:
    assert mistakes(write(tmp_path, top("function: {}"))).what == "has 1 mistake"


@pytest.mark.parametrize(
    "text",
    [
        layer('name: "x\\n::error::y"'),
        layer('"x\\e[31m\\ny": 1'),
        layer(f"name: {'n' * 10_000}"),
        layer(f"? {'k' * 900}\n: 1"),
        layer(f"prune: [{'p' * 10_000}]"),
        layer(f"source: [{'{'}a: {'b' * 10_000}{'}'}]"),
        layer(f"description: !!int {'1' * 10_000}"),
    ],
    ids=["line break", "escape in a key", "long name", "long key", "long word", "long list", "long number"],
)
def test_a_mistake_is_told_on_one_short_line_of_printable_text(text: str, tmp_path: Path) -> None:
    (problem,) = mistakes(write(tmp_path, text)).problems
    assert str(problem).isprintable()
    assert len(str(problem)) < 500


@pytest.mark.parametrize(
    "image", ["https://user:secret@host/build", "user:secret@host/build", f"docker://u:secret@h/b@sha256:{'0' * 64}"]
)
def test_a_password_in_an_image_is_not_told(image: str, tmp_path: Path) -> None:
    assert "secret" not in str(mistakes(write(tmp_path, container(f"image: {image}"))))


@pytest.mark.parametrize("part", ["a", "a-", "a.", "-", "a/", "a__", "a:", "{runtime}", "A."])
def test_a_long_image_is_refused_at_once(part: str, tmp_path: Path) -> None:
    """No repetition in the pattern has two ways to match one text, which would take years here."""
    (problem,) = mistakes(write(tmp_path, container(f"image: '{part * 20_000}!'"))).problems
    assert len(str(problem)) < 500


def test_mistakes_of_the_build_container_come_at_once(tmp_path: Path) -> None:
    text = (
        "version: 1\ncontainer:\n  image: Team/build:{python}\n  step_minutes: 0x1e\ndefaults:\n  network: ~\n"
        "layers:\n  a:\n    source: code\n    system_packages: [-y]\n    pack_libraries: 'yes'\n"
    )
    assert str(mistakes(write(tmp_path, text))).splitlines() == [
        "layers.yaml: has 6 mistakes",
        "  line 3: container.image: 'Team/build:{python}' is not an image reference: "
        "only {runtime} and {architecture} stand for something",
        "  line 4: container.step_minutes: must be a whole number from 1 to 1440, not a number (0x1e); "
        "write it in plain digits",
        "  line 6: defaults.network: '~' is not a network for builds; write none",
        "  line 10: layers.a.system_packages[0]: '-y' is not the name of a system package: "
        "write letters, digits and + . _ : ~ -, a letter or digit first",
        "  line 10: layers.a.system_packages: there is nothing to build: the layer has no requirements",
        "  line 11: layers.a.pack_libraries: must be true or false, not text (yes); write true",
    ]


def test_a_password_in_a_url_is_not_told(tmp_path: Path) -> None:
    urls = ["x @ https://user:secret@host/x", "https://user:secret@host/x", "-e git+https://secret@host/x"]
    assert "secret" not in str(mistakes(write(tmp_path, layer(f"requirements: {urls}"))))


# Files that would hurt a careless reader


@pytest.mark.parametrize(
    ("text", "path"),
    [
        pytest.param("&all\nversion: 1\nlayers: *all\n", "layers.layers", id="the file as its layers"),
        pytest.param("version: 1\nlayers: &x {x: *x}\n", "layers.x.x", id="the layers as a layer"),
        pytest.param(layers("a: &a {source: code, uses: *a}"), "layers.a.uses", id="a layer as what it uses"),
        pytest.param(layer("requirements: &r [x, *r]"), "layers.a.requirements[1]", id="a list in itself"),
        pytest.param("&k {*k : 1}\n", "", id="a mapping as its own key"),
    ],
)
def test_an_alias_to_itself_is_a_mistake_as_any_other(text: str, path: str, tmp_path: Path) -> None:
    assert path in [problem.path for problem in mistakes(write(tmp_path, text)).problems]


def test_a_billion_laughs_are_not_laughed(tmp_path: Path) -> None:
    lines = ["a0: &a0 [ha, ha]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 40))]
    text = layers(*lines, "last: {source: code, requirements: *a39}")
    assert len(mistakes(write(tmp_path, text)).problems) == 40 + 10


@pytest.mark.parametrize("levels", [101, 1_000_000])
def test_what_is_nested_too_deep_ends_no_process(levels: int, tmp_path: Path) -> None:
    error = mistakes(write(tmp_path, f"version: 1\nlayers: {'[' * levels}{']' * levels}\n"))
    assert str(error) == "layers.yaml: cannot be used\n  line 2: is nested more than 100 levels deep"


def chain(length: int, last: str) -> str:
    links = [f"l{i}: {{source: code, uses: [l{i + 1}]}}" for i in range(length)]
    return layers(*links, f"l{length}: {{source: code, uses: [{last}]}}")


def test_a_chain_of_uses_may_be_longer_than_the_stack(tmp_path: Path) -> None:
    file = load(write(tmp_path, chain(1500, "")))
    assert len(file.used_by("l0")) == 1500


def test_a_circle_of_uses_may_be_longer_than_the_stack(tmp_path: Path) -> None:
    (problem,) = mistakes(write(tmp_path, chain(1500, "l7"))).problems
    assert (problem.line, problem.path) == (10, "layers.l7.uses")


# Whatever the file is


KEYS = sorted(
    {
        *config.TOP,
        *config.DEFAULTS,
        *config.LAYER,
        *config.FUNCTION,
        *publishing.PUBLISH,
        *publishing.SHARE,
        *publishing.PLACE,
        *environment.CONTAINER,
        *checks.LAYER,
    }
)
# no line breaks: Python's $, unlike a JSON schema's, matches before one at the end
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12)
WORDS = [
    "",
    "a",
    "z",
    "code",
    ".",
    "..",
    "/x",
    "python3.16",
    "arm64",
    "none",
    "tests",
    "x>1",
    "<2",
    "n" * 600,
    "default",
    "{x}",
    "A/b",
    "/a/b",
    "a-{region}",
    "reference",
]
ANYTHING = st.recursive(
    st.sampled_from([*WORDS, None, True, 0, 30, 3.12, 123456789012]) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | TEXTS, inner, max_size=3),
)


def some(*values: object, least: int = 0) -> st.SearchStrategy[list[object]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=3, unique=True)


def mapping(
    required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


DEFAULTS = {
    "runtimes": some("python3.12", "python3.13", "python3.15", least=1),
    "architectures": some("arm64", "x86_64", least=1),
    "license": st.sampled_from(["", "MIT", "l" * 512]),
    "bytecode": st.sampled_from(["only", "none", "unchecked-hash"]),
    "prune": some("tests", "stubs", "sources"),
}
BUILD = {"network": st.sampled_from(["default", "none"]), "pack_libraries": st.booleans()}
PACKED = mapping(
    {"source": st.sampled_from(["code", "alias/inner"])},
    description=st.sampled_from(["", "d" * 256]),
    requirements=some("x", "x>1", "x[y]~=1.0,<2"),
    **DEFAULTS,
)
BUILT = mapping(
    {"requirements": some("x", "x>1", least=1)},
    system_packages=some("gcc", "libpq-devel", "g++"),
    **DEFAULTS,
    **BUILD,
)
LAYER = PACKED | BUILT
CONTAINER = mapping(
    {},
    image=st.sampled_from(["build", "{runtime}:{architecture}", "a.b:1/c@sha256:" + "0" * 64]),
    step_minutes=st.integers(1, 1440),
)
FUNCTION = mapping(
    {"layers": some("a", "b")},
    handler=st.just("a.b"),
    source=st.just("code"),
    environment=st.dictionaries(st.sampled_from(["AB", "PYTHONPATH", "x_9"]), TEXTS, max_size=2),
    timeout=st.integers(1, 900),
    memory=st.integers(128, 10240),
)
ACCOUNTS = mapping({"accounts": some("012345678901", 123456789012, least=1)}, organization=st.just("o-abcdefghij"))
BUCKET = mapping(
    {"name": st.sampled_from(["a-{region}", "{region}{account}"])},
    prefix=st.sampled_from(["", "a/b/"]),
    keep=st.booleans(),
    mode=st.just("copy"),
)
FILE = mapping(
    {"version": st.just(1), "layers": mapping({"a": LAYER, "b": LAYER}, c=LAYER)},
    defaults=mapping({}, **DEFAULTS, **BUILD),
    container=CONTAINER,
    functions=st.dictionaries(TEXTS, FUNCTION, max_size=2),
    publish=mapping(
        {},
        regions=some("us-east-1", "eu-west-1"),
        share=st.sampled_from(["public", "private"]) | ACCOUNTS,
        bucket=st.just("a-{region}") | BUCKET,
        parameters=st.sampled_from(["/a", "/a/b"]),
    ),
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every list and mapping in `value`, with each of its indices or keys, and with a new one."""
    if isinstance(value, dict | list):
        for key in [*value, None] if isinstance(value, dict) else range(len(value) + 1):
            yield value, key
        for inner in value.values() if isinstance(value, dict) else value:
            yield from places(inner)


@st.composite
def slips(draw: st.DrawFn) -> Any:
    """A good file with up to two slips: a value that is another one, is gone, or is too many."""
    data = copy.deepcopy(draw(FILE))
    for _ in range(draw(st.integers(0, 2))):
        holder, key = draw(st.sampled_from(list(places(data))))
        new = draw(ANYTHING)
        if isinstance(holder, list):
            holder[key : key + draw(st.integers(0, 1))] = draw(st.sampled_from([[], [new], holder[:1]]))
        elif key is None:
            holder[draw(st.sampled_from(KEYS) | TEXTS)] = new
        elif draw(st.booleans()):
            holder[key] = new
        else:
            del holder[key]
    return data


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layers.yaml that each example writes anew."""
    return write(tmp_path_factory.mktemp("random"), "")


def told(path: Path) -> ConfigError | None:
    """The mistakes of a file that may be good: each on a line of it, in order, and none twice."""
    try:
        load(path)
    except ConfigError as error:
        lines = [problem.line for problem in error.problems]
        assert lines == sorted(lines)
        assert all(1 <= line <= len(path.read_bytes().splitlines()) + 1 for line in lines)
        assert len(set(error.problems)) == len(lines)
        return error
    return None


@settings(max_examples=200, deadline=None)  # a busy machine is no mistake
@given(slips())
def test_parser_and_schema_refuse_the_same(project: Path, data: Any) -> None:
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    project.write_text(text, encoding="utf-8")
    error = told(project)
    if schema_refuses(text):
        assert error, "the schema refuses what the parser accepts"
    elif error:
        unseen = [problem for problem in error.problems if any(words in problem.message for words in UNSEEN)]
        assert unseen == list(error.problems), "the schema accepts what the parser refuses"


@given(st.text("ab1 -:,.[]{}&*!|>'\"#%@\t\n<=~?\ufeff") | TEXTS | st.binary())
def test_random_text_is_told_in_words(project: Path, text: str | bytes) -> None:
    project.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert told(project)


@given(st.data())
def test_a_good_file_with_a_slip_is_told_in_words(project: Path, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(EVERYTHING)))
    end = data.draw(st.integers(begin, min(begin + 20, len(EVERYTHING))))
    slip = data.draw(
        st.sampled_from(["", "\t", "\n", "  ", "]", "{", ": ", "- ", "*a", "&a ", "!", "'", "12", "null"])
    )
    project.write_text(EVERYTHING[:begin] + slip + EVERYTHING[end:], encoding="utf-8")
    told(project)
