"""Good and bad layers.yaml as data: what the parser (test_schema, test_config) and the schema are held against.

A bad example says whether the schema sees its mistake, too: a schema sees one value at a time, and JSON alone,
so it cannot see other layers, folders, or what YAML's reader has already thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

from layerkit import targets


@dataclass(frozen=True)
class Good:
    name: str
    text: str


@dataclass(frozen=True)
class Bad:
    name: str
    text: str
    problems: tuple[tuple[int, str, str], ...]  # line, path and a part of the message, in the order they are told in
    seen: bool = True  # by the schema, at least one of them


# What a schema cannot see, by the parser's words.
UNSEEN = (
    "there is no layer",
    "the layers use each other in a circle",
    "is not built for",
    "is the name in AWS of the layer",
    "there is no folder",
    "is a file, not a folder",
    "is a link that leads out",
    "is the project's own folder",
    "(first on line",  # the first of two equal keys
    "a key must be text",  # in JSON each is
    "<< is not read here",
    "not a timestamp",
    "not a YAML tag",
    "is not a requirement: ",  # all but its beginning
    "in plain digits",  # JSON has one way to write a number, YAML many
    "there are several regions",  # and one bucket's name
    "for all variables of a function",
    "becomes '",  # a bucket's name that is too long with its placeholders filled in
)


def write(folder: Path, text: str | bytes) -> Path:
    """A project in `folder` with this layers.yaml and all that the examples name as their source."""
    project = folder / "project"
    (project / "code" / "inner").mkdir(parents=True)
    (project / "file.txt").touch()
    for name, leads_to in {"alias": "code", "outside": "..", "nowhere": "missing", "circle": "circle"}.items():
        (project / name).symlink_to(leads_to)
    path = project / "layers.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def layer(text: str) -> str:
    """A file whose one layer, `a`, is not empty and has these lines, the first of them on line 5."""
    return "version: 1\nlayers:\n  a:\n    source: code\n" + indent(text, "    ") + "\n"


def top(text: str) -> str:
    """A file with one layer, `a`, and these lines, the first of them on line 3."""
    return "version: 1\nlayers: {a: {source: code}}\n" + text + "\n"


def layers(*lines: str) -> str:
    """A file with these layers, the first on line 3."""
    return "version: 1\nlayers:\n" + "".join(f"  {line}\n" for line in lines)


def container(*lines: str) -> str:
    """A file whose `container` has these lines, the first of them on line 4."""
    return top("container:\n" + "\n".join(f"  {line}" for line in lines))


def built(text: str) -> str:
    """A file whose one layer, `a`, has requirements and these lines, the first of them on line 5."""
    return layer(text).replace("source: code", "requirements: [psycopg2]")


def function(text: str) -> str:
    """A file whose one function, `f`, attaches a layer and has these lines, the first of them on line 6."""
    return top("functions:\n  f:\n    layers: [a]\n" + indent(text, "    "))


def bad(name: str, text: str, *problems: tuple[int, str, str], seen: bool = True) -> Bad:
    return Bad(name, text, problems, seen)


GOOD = [
    Good("smallest", top("")),
    Good("requirements alone", layers("a: {requirements: [Flask]}")),
    Good("no requirements, but a source", layer("requirements: []")),
    Good(
        "everything",
        """\
version: 1
defaults:
  runtimes: [python3.10, python3.11, python3.12, python3.13, python3.14]
  architectures: [arm64, x86_64]
  license: MIT
  bytecode: unchecked-hash
  prune: [tests, stubs, sources]
  network: none
  pack_libraries: false
  verify: {licenses: [MIT, LGPL-2.1-or-later WITH GCC-exception-2.0], waive: {executable-stack: "seen to run, 2026"}}
container:
  image: registry.example.com:5000/team/build-{runtime}:3-{architecture}
  step_minutes: 90
layers:
  base:
    name: _base-layer
    description: "What all have: 100 %"
    requirements:
      - Flask[async]>=3.1,<4 ; python_version >= '3.12'
      - werkzeug
    system_packages: [libpq-devel, gcc]
    network: default
    pack_libraries: true
  top:
    uses: [base]
    source: ./code/inner
    license: none
    bytecode: only
    prune: []
    runtimes: [python3.12]
    architectures: [x86_64]
    verify: {imports: [top, top.part_1], licenses: [0BSD], waive: {glibc: "not called"}}
functions:
  hello:
    source: code
    handler: app/main.handler
    layers: [base, top]
    environment: {STAGE: test, TZ: Europe/Berlin, empty_1: "", x9: "17", long: "a\\nb = {é}"}
    timeout: 900
    memory: 10240
  bare: {layers: [], verify: {waive: {function-shadow: "on purpose"}}}
publish:
  regions: [us-east-1, us-gov-west-1, eusc-de-east-1]
  share: {accounts: ["012345678901", 123456789012], organization: o-abcde12345}
  bucket: {name: "{account}-layers.{region}", prefix: zips/new, keep: yes, mode: reference}
  parameters: /team/layers/
""",
    ),
    Good("flow items that YAML splits", layers("a: {requirements: [Flask>=3.1,<4,~=3.1.2, Jinja2 ==3.*]}")),
    Good("one distribution twice", layers("a: {requirements: [Flask>=3, Flask<4, Flask>=3]}")),
    Good(
        "requirements in every form",
        layers("a: {requirements: ['F>=1,', 'F (>=1)', ' F ', 'F[x , y]==1.*', 'F;os_name==\"posix\"', F===1]}"),
    ),
    Good("a link that stays inside", layers("a: {source: alias/inner}")),
    Good(
        "anchors and aliases",
        layers(
            "a: {source: code, runtimes: &new [python3.13], description: &text x}",
            "b: {source: code, runtimes: *new, license: *text}",
            "c: &whole {requirements: [x]}",
        )
        + "functions: {f: {layers: &all [a, b]}, g: {layers: *all}}\n",
    ),
    Good("a runtime of next year", layer("runtimes: [python3.15, python3.99]")),
    Good("fifteen runtimes", layer(f"runtimes: [{', '.join(f'python3.{minor}' for minor in range(10, 25))}]")),
    Good("longest texts", layer(f"name: {'n' * 140}\ndescription: {'d' * 256}\nlicense: {'é' * 512}")),
    Good("longest key", layers(f"{'k' * 140}: {{source: code}}")),
    Good(
        "five layers",
        layers(*(f"{key}: {{source: code}}" for key in "abcde")) + "functions: {f: {layers: [e, d, c, b, a]}}\n",
    ),
    Good(
        "layers that use one another",
        layers("a: {source: code, uses: [b, c]}", "b: {source: code, uses: [c]}", "c: {source: code}"),
    ),
    Good("share public", top("publish: {share: public}")),
    Good("share private", top("publish: {share: private, regions: []}")),
    Good("share with an organization", top("publish: {share: {organization: o-abcdefghij}}")),
    *(
        Good(f"bucket {name}", top(f"publish: {{regions: [us-east-1], bucket: '{name}'}}"))
        for name in (
            "abc",
            "a" * 63,
            "a.b-c.1",
            "{region}",
            "{account}-x",
            "x{region}",
            "1.2.3.4.5",
            "a{region}{account}",
        )
    ),
    Good("a bucket for each region", top("publish: {regions: [us-east-1, eu-west-1], bucket: 'a-{region}'}")),
    *(
        Good(f"bucket with {rest}", top(f"publish: {{bucket: {{name: abc, {rest}}}}}"))
        for rest in (
            "prefix: ''",
            "prefix: a/b.c/_=+@-/",
            f"prefix: {'p' * 512}",
            "keep: false",
            "mode: copy, keep: true",
            "mode: reference",
            "mode: reference, keep: true",
        )
    ),
    *(
        Good(f"parameters {prefix}", top(f"publish: {{parameters: {prefix}}}"))
        for prefix in ("/a", "/awe/aws/ssm", "/a.b_c-D/9", "/a" * 10, f"/{'p' * 799}")
    ),
    Good(
        "a function that is as AWS makes it",
        top("functions: {f: {layers: [], environment: {}, timeout: 3, memory: 128}}"),
    ),
    Good(
        "variables that may be changed", function("environment: {PYTHONPATH: /opt/x, LANG: C, PATH: /bin, AWS_X: y}")
    ),
    Good("as many variables as AWS takes", function(f"environment: {{AB: {'é' * 2043}}}")),
    Good("shortest timeout, least memory", function("timeout: 1\nmemory: 128")),
    Good("empty sections", top("defaults: {}\ncontainer: {}\nfunctions: {}\npublish: {}")),
    *(
        Good(f"image {image}", container(f"image: '{image}'"))
        for image in (
            "build",
            "python3.12:latest",
            "team/build",
            "a.b_c__d-e---f/g:_T.a-G",
            "localhost/build",
            "localhost:5000/build:{runtime}-{architecture}",
            "Registry.Example.COM/build",
            "registry:5000/build",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/build-{runtime}:{architecture}",
            "{runtime}:{architecture}",
            "{runtime}",
            "team/{architecture}/{runtime}-{runtime}:{architecture}{architecture}",
            f"build@sha256:{'0a' * 32}",
            f"quay.io/pypa/manylinux_2_34_{{architecture}}:2026.11.21-1@sha256:{'f' * 64}",
            f"build:{'T' * 128}",
        )
    ),
    Good(
        "an image for two architectures", container("image: build") + "defaults: {architectures: [arm64, x86_64]}\n"
    ),
    Good("shortest step", container("step_minutes: 1")),
    Good("longest step", container("step_minutes: 1440")),
    Good(
        "builds",
        built("system_packages: [libpq-devel, g++, 0ad, a.b_c~d:x86_64]\nnetwork: none\npack_libraries: false"),
    ),
    Good("builds that want nothing", layer("system_packages: []\nnetwork: default\npack_libraries: false")),
    Good("a quoted network", built("network: 'none'")),
    Good(
        "yes and no as YAML spells them",
        layers("a: {source: code, pack_libraries: yes}", "b: {source: code, pack_libraries: Off}"),
    ),
    Good(
        "no network by default, and nothing to build",
        top("defaults: {network: none, pack_libraries: no}"),
    ),
]

KNOWN = "known: python3.10, python3.11, python3.12, python3.13, python3.14"

BAD = [
    # the file as a whole
    bad("a list", "- version: 1\n", (1, "", "must be a mapping, not a list")),
    bad("a text", "layers\n", (1, "", "must be a mapping, not text (layers)")),
    bad("only a null", "---\n~\n", (2, "", "must be a mapping, not nothing")),
    bad("nothing declared", "{}\n", (1, "", "'version' is missing"), (1, "", "'layers' is missing")),
    bad("no version", "layers: {a: {source: code}}\n", (1, "", "write version: 1")),
    bad(
        "another version",
        "version: 2\nlayers: {a: {source: code}}\n",
        (1, "version", "not a number (2): this layerkit reads"),
    ),
    bad(
        "version as text",
        "version: '1'\nlayers: {a: {source: code}}\n",
        (1, "version", "must be the number 1, not text (1)"),
    ),
    bad("layers missing", "version: 1\n", (1, "", "the key 'layers' is missing")),
    bad(
        "no layer", "version: 2\nlayers: {}\n", (1, "version", "not a number (2)"), (2, "layers", "declares no layer")
    ),
    bad(
        "unknown key at the top",
        top("function: {}"),
        (3, "function", "unknown key 'function'; did you mean 'functions'?"),
    ),
    bad(
        "unknown key unlike any",
        top("x-base: 1"),
        (3, "x-base", "known: version, defaults, container, layers, functions, publish"),
    ),
    bad(
        "key twice at the top",
        top("publish: {}\npublish: {}"),
        (4, "publish", "the key 'publish' is here twice (first on line 3)"),
        seen=False,
    ),
    bad(
        "key twice in a layer",
        layer("license: MIT\nlicense: MIT"),
        (6, "layers.a.license", "here twice (first on line 5)"),
        seen=False,
    ),
    bad(
        "layer twice",
        "version: 1\nlayers:\n  a:\n    source: code\n  a:\n    source: code\n",
        (5, "layers.a", "the key 'a' is here twice (first on line 3)"),
        seen=False,
    ),
    bad(
        "keys that are not text",
        layer("1: x\nno: x\n~: x\n? [x]\n: x"),
        (5, "layers.a", "a key must be text, not a number (1)"),
        (6, "layers.a", "not a yes/no value (no)"),
        (7, "layers.a", "not nothing"),
        (8, "layers.a", "not a list"),
        seen=False,
    ),
    bad(
        "layer with a number as key",
        layers("3: {source: code}"),
        (3, "layers", "a key must be text, not a number (3)"),
        seen=False,
    ),
    bad(
        "merge key",
        layers("a: &a {source: code}", "b:", "  <<: *a", "  source: code"),
        (5, "layers.b", "<< is not read here; what several layers share stands under defaults"),
        seen=False,
    ),
    # wrong types
    bad(
        "sections of the wrong type",
        "version: [1]\ndefaults: []\nlayers: a\nfunctions: [f]\npublish:\ncontainer: build\n",
        (1, "version", "must be the number 1, not a list"),
        (2, "defaults", "must be a mapping, not a list"),
        (3, "layers", "must be a mapping of layers, not text (a)"),
        (4, "functions", "must be a mapping of functions, not a list"),
        (5, "publish", "must be a mapping, not nothing"),
        (6, "container", "must be a mapping, not text (build)"),
    ),
    bad(
        "layers of the wrong type",
        layers("a: [Flask]", "b:", "c: Flask", "d: {}"),
        (3, "layers.a", "must be a mapping, not a list"),
        (4, "layers.b", "must be a mapping, not nothing"),
        (5, "layers.c", "must be a mapping, not text (Flask)"),
        (6, "layers.d", "the layer is empty"),
    ),
    bad(
        "texts of the wrong type",
        layer("name: 1\ndescription: [x]\nlicense: 2.0\nbytecode: true"),
        (5, "layers.a.name", "must be a layer name, not a number (1)"),
        (6, "layers.a.description", "must be text, not a list"),
        (7, "layers.a.license", "must be text, not a number (2.0)"),
        (8, "layers.a.bytecode", "'true' is not a kind of bytecode; known: unchecked-hash, none, only"),
    ),
    bad(
        "texts that are missing",
        layer("name:\ndescription: ~\nlicense: null\nbytecode:"),
        (5, "layers.a.name", "must be a layer name, not nothing"),
        (6, "layers.a.description", "must be text, not nothing"),
        (7, "layers.a.license", "must be text, not nothing"),
        (8, "layers.a.bytecode", "nothing is not a kind of bytecode"),
    ),
    bad(
        "a date as text",
        layer("description: 2026-11-21"),
        (5, "layers.a.description", "must be text, not a timestamp (2026-11-21)"),
        seen=False,
    ),
    bad(
        "lists of the wrong type",
        layer("requirements: Flask\nuses: {a: b}\nruntimes: python3.12\narchitectures: arm64\nprune:"),
        (5, "layers.a.requirements", "must be a list of requirements: [Flask], not text (Flask)"),
        (6, "layers.a.uses", "must be a list of layers, not a mapping"),
        (7, "layers.a.runtimes", "must be a list of runtimes: [python3.12], not text (python3.12)"),
        (8, "layers.a.architectures", "must be a list of architectures: [arm64], not text (arm64)"),
        (9, "layers.a.prune", "must be a list of groups of files, not nothing"),
    ),
    bad(
        "items of the wrong type",
        layer("requirements: [1, [x]]\nuses: [1, ~]\nruntimes: [{}, 312]\narchitectures: [64]\nprune: [no]"),
        (5, "layers.a.requirements[0]", "must be a requirement, as Flask>=3.1, not a number (1)"),
        (5, "layers.a.requirements[1]", "not a list"),
        (6, "layers.a.uses[0]", "must be a layer's key, not a number (1)"),
        (6, "layers.a.uses[1]", "not nothing"),
        (7, "layers.a.runtimes[0]", "must be a runtime of Lambda, as python3.12, not a mapping"),
        (7, "layers.a.runtimes[1]", "not a number (312)"),
        (8, "layers.a.architectures[0]", "'64' is not an architecture of Lambda; known: arm64, x86_64"),
        (9, "layers.a.prune[0]", "'no' is not a group of files; known: tests, stubs, sources"),
    ),
    bad(
        "items without text",
        layer("requirements: ['']\nuses: ['']\nruntimes: ['']"),
        (5, "layers.a.requirements[0]", "'' is not a requirement"),
        (6, "layers.a.uses[0]", "'' is not a layer's key"),
        (7, "layers.a.runtimes[0]", "'' is not a runtime"),
    ),
    # settings
    bad(
        "unknown key in a layer",
        layer("require:\n  - Flask"),
        (5, "layers.a.require", "unknown key 'require'; did you mean 'requirements'?"),
    ),
    bad(
        "unknown key in defaults",
        top("defaults: {name: x}"),
        (3, "defaults.name", "unknown key 'name'; known: runtimes, architectures"),
    ),
    bad(
        "runtime for runtimes",
        layer("runtime: 3.12"),
        (5, "layers.a.runtime", "unknown key 'runtime'; write runtimes: [python3.12]"),
    ),
    bad(
        "architecture for architectures",
        top("defaults:\n  architecture: arm64"),
        (4, "defaults.architecture", "write architectures: [arm64]"),
    ),
    bad(
        "runtimes as numbers",
        layer("runtimes: [3.12, '3.13', 3.10, 3.6]"),
        (5, "layers.a.runtimes[0]", "3.12 is not a runtime of Lambda; write python3.12"),
        (5, "layers.a.runtimes[1]", "write python3.13"),
        (5, "layers.a.runtimes[2]", "write python3.10"),
        (5, "layers.a.runtimes[3]", f"'python3.6' is not a runtime that layers can be built for; {KNOWN}"),
    ),
    bad(
        "runtimes that layers cannot be built for",
        layer(
            "runtimes:\n  - nodejs22.x\n  - python3.6\n  - python3.9\n  - python2.7\n  - python3.012\n  - python3.100"
        ),
        (6, "layers.a.runtimes[0]", f"'nodejs22.x' is not a runtime that layers can be built for; {KNOWN}"),
        *((7 + i, f"layers.a.runtimes[{1 + i}]", KNOWN) for i in range(5)),
    ),
    bad(
        "runtimes in other scripts' digits",
        layer("runtimes: [python3.१२, python3.९९]"),
        (5, "layers.a.runtimes[0]", "is not a runtime"),
        (5, "layers.a.runtimes[1]", "is not a runtime"),
    ),
    bad(
        "runtimes misspelt",
        layer("runtimes: [Python3.12, pyhton3.13]"),
        (5, "layers.a.runtimes[0]", "did you mean 'python3.12'?"),
        (5, "layers.a.runtimes[1]", "did you mean 'python3.13'?"),
    ),
    bad(
        "no runtimes, no architectures",
        layer("runtimes: []\narchitectures: []"),
        (5, "layers.a.runtimes", "names no runtime"),
        (6, "layers.a.architectures", "names no architecture"),
    ),
    bad(
        "sixteen runtimes",
        layer(f"runtimes: [{', '.join(f'python3.{minor}' for minor in range(10, 26))}]"),
        (5, "layers.a.runtimes", "has 16 runtimes; AWS takes at most 15"),
    ),
    bad(
        "architectures as others spell them",
        layer("architectures: [aarch64, AMD64, x86-64, x64, ARM64, mips]"),
        (5, "layers.a.architectures[0]", "'aarch64' is not an architecture of Lambda; write arm64"),
        (5, "layers.a.architectures[1]", "'AMD64' is not an architecture of Lambda; write x86_64"),
        (5, "layers.a.architectures[2]", "write x86_64"),
        (5, "layers.a.architectures[3]", "write x86_64"),
        (5, "layers.a.architectures[4]", "did you mean 'arm64'?"),
        (5, "layers.a.architectures[5]", "known: arm64, x86_64"),
    ),
    bad(
        "settings twice",
        layer("runtimes: [python3.12, python3.12]\narchitectures: [arm64, arm64]\nprune: [tests, tests]"),
        (5, "layers.a.runtimes[1]", "'python3.12' is here twice"),
        (6, "layers.a.architectures[1]", "'arm64' is here twice"),
        (7, "layers.a.prune[1]", "'tests' is here twice"),
    ),
    bad(
        "mistakes in defaults count once",
        layers("a: {source: code, license: MIT}", "b: {source: code}", "c: {source: code}")
        + "defaults: {license: 3, bytecode: all}\n",
        (6, "defaults.license", "must be text"),
        (6, "defaults.bytecode", "'all' is not a kind of bytecode"),
    ),
    bad(
        "mistakes in defaults that every layer overrides",
        layer("runtimes: [python3.12]\nlicense: MIT") + "defaults: {license: 3, runtimes: [3.12]}\n",
        (7, "defaults.runtimes[0]", "write python3.12"),
        (7, "defaults.license", "must be text"),
    ),
    bad(
        "checks that cannot be",
        layer(
            "verify:\n"
            "  imports: [a-b, 1, a, a, .b, 'a..b']\n"
            "  licenses: [BSD 3, MIT, MIT, ~]\n"
            "  waive: {glib: why, glibc: '', elf-machine: ' ', needed-library: 3, licence: {}}\n"
            "  wave: {}"
        ),
        (6, "layers.a.verify.imports[3]", "'a' is here twice"),
        (6, "layers.a.verify.imports[0]", "'a-b' is not a module's name, as package.module"),
        (6, "layers.a.verify.imports[1]", "must be a module's name, as package.module, not a number (1)"),
        (6, "layers.a.verify.imports[4]", "'.b' is not a module's name"),
        (6, "layers.a.verify.imports[5]", "'a..b' is not a module's name"),
        (7, "layers.a.verify.licenses[2]", "'MIT' is here twice"),
        (7, "layers.a.verify.licenses[0]", "'BSD 3' is not an SPDX identifier, as BSD-3-Clause"),
        (7, "layers.a.verify.licenses[3]", "must be an SPDX identifier, as BSD-3-Clause, not nothing"),
        (8, "layers.a.verify.waive.glib", "there is no rule 'glib'; did you mean 'glibc'?"),
        (8, "layers.a.verify.waive.glibc", "write the reason, in words: it is shown each time"),
        (8, "layers.a.verify.waive.elf-machine", "write the reason, in words"),
        (8, "layers.a.verify.waive.needed-library", "must be the reason, in words, not a number (3)"),
        (8, "layers.a.verify.waive.licence", "there is no rule 'licence'; did you mean 'license'?"),
        (9, "layers.a.verify.wave", "unknown key 'wave'; did you mean 'waive'?"),
    ),
    bad(
        "checks where they do not stand",
        layer("verify: {licenses: []}\nimports: [a]")
        + "functions: {f: {layers: [a], verify: {imports: [a]}}}\n"
        + "defaults: {verify: {imports: [a], waive: [glibc]}}\n",
        (5, "layers.a.verify.licenses", "allows none"),
        (6, "layers.a.imports", "unknown key 'imports'; write it under verify"),
        (7, "functions.f.verify.imports", "unknown key 'imports'; known: waive"),
        (8, "defaults.verify.imports", "unknown key 'imports'"),
        (8, "defaults.verify.waive", "must be a mapping of rules to reasons, not a list"),
    ),
    # names and limits of AWS
    bad(
        "names that AWS refuses",
        layers(
            "a: {source: code, name: my.layer}",
            f"b: {{source: code, name: {'n' * 141}}}",
            "c: {source: code, name: ''}",
            "d: {source: code, name: größe}",
        ),
        (3, "layers.a.name", "'my.layer' is not a layer name: AWS takes letters, digits, - and _, at most 140"),
        (4, "layers.b.name", "at most 140"),
        (5, "layers.c.name", "'' is not a layer name"),
        (6, "layers.d.name", "'größe' is not a layer name"),
    ),
    bad(
        "keys that are no names",
        layers("a.b: {source: code}", f"{'k' * 141}: {{source: code}}", "'': {source: code}", "-a: {source: code}"),
        *(
            (line, path, "a layer's key is at most 140 letters, digits, - and _")
            for line, path in ((3, "layers.a.b"), (4, f"layers.{'k' * 141}"), (5, "layers."), (6, "layers.-a"))
        ),
    ),
    bad(
        "texts too long for AWS",
        layer(f"description: {'d' * 257}\nlicense: {'l' * 513}"),
        (5, "layers.a.description", "has 257 characters; AWS takes at most 256"),
        (6, "layers.a.license", "has 513 characters; AWS takes at most 512"),
    ),
    bad(
        "one name for two layers",
        layers(
            "a: {source: code, name: same}",
            "b:",
            "  source: code",
            "  name: same",
            "c: {source: code, name: d}",
            "d: {source: code}",
            "E: {source: code}",
            "e: {source: code}",
        ),
        (6, "layers.b.name", "'same' is the name in AWS of the layer 'a', too"),
        (8, "layers.d", "'d' is the name in AWS of the layer 'c', too"),
        (10, "layers.e", "'e' is the name in AWS of the layer 'E', too (as 'E')"),
        seen=False,
    ),
    bad(
        "empty layers",
        layers("a: {name: x}", "b:", "  license: MIT", "  requirements: []"),
        (3, "layers.a", "the layer is empty, which AWS refuses"),
        (4, "layers.b", "the layer is empty"),
    ),
    # uses
    bad(
        "uses of no layer",
        layers(
            "first: {source: code, uses: [frist]}", "b:", "  source: code", "  uses:", "    - first", "    - other"
        ),
        (3, "layers.first.uses[0]", "there is no layer 'frist'; did you mean 'first'?"),
        (8, "layers.b.uses[1]", "there is no layer 'other'; known: first, b"),
        seen=False,
    ),
    bad(
        "uses itself",
        layers("a: {source: code, uses: [a]}"),
        (3, "layers.a.uses", "the layers use each other in a circle: a -> a"),
        seen=False,
    ),
    bad(
        "uses in a circle",
        layers(
            "x: {source: code, uses: [a]}",
            "a: {source: code, uses: [b]}",
            "b: {source: code, uses: [c]}",
            "c: {source: code, uses: [a]}",
        ),
        (4, "layers.a.uses", "in a circle: a -> b -> c -> a"),
        seen=False,
    ),
    bad(
        "uses in two circles",
        layers("a: {source: code, uses: [b]}", "b: {source: code, uses: [a]}", "c: {source: code, uses: [c]}"),
        (3, "layers.a.uses", "in a circle: a -> b -> a"),
        (5, "layers.c.uses", "in a circle: c -> c"),
        seen=False,
    ),
    bad(
        "uses twice",
        layers("a: {source: code}", "b: {source: code, uses: [a, a]}"),
        (4, "layers.b.uses[1]", "'a' is here twice"),
    ),
    bad(
        "uses a layer for fewer targets",
        layers(
            "a: {source: code}",
            "b: {source: code, uses: [a], runtimes: [python3.12, python3.13], architectures: [x86_64, arm64]}",
        ),
        (
            4,
            "layers.b.uses",
            "the layer 'a' is not built for python3.12-x86_64, python3.13-arm64, python3.13-x86_64, which 'b' is",
        ),
        seen=False,
    ),
    bad(
        "uses a layer whose targets are wrong",
        layers(
            "a: {source: code, runtimes: [3.13]}",
            "b: {source: code, runtimes: [python3.6]}",
            "c: {source: code, uses: [a, b], runtimes: [python3.13]}",
        ),
        (3, "layers.a.runtimes[0]", "write python3.13"),
        (4, "layers.b.runtimes[0]", "'python3.6' is not"),
    ),
    # sources
    bad(
        "sources outside the project",
        layers(
            "a: {source: ../x}",
            "b: {source: /x}",
            "c: {source: code/../../x}",
            "d: {source: ..}",
            "e: {source: ''}",
            'f: {source: "a\\0b"}',
        ),
        *(
            (3 + i, f"layers.{key}.source", "is not a folder: write it relative to layers.yaml, without ..")
            for i, key in enumerate("abcdef")
        ),
    ),
    bad(
        "sources that are no folder of the project",
        layers(
            "a: {source: outside}",
            "b: {source: missing}",
            "c: {source: file.txt}",
            "d: {source: .}",
            "e: {source: nowhere}",
            "f: {source: circle}",
            f"g: {{source: {'x' * 5000}}}",
            "h: {source: file.txt/x}",
        ),
        (3, "layers.a.source", "'outside' is a link that leads out of the project"),
        (4, "layers.b.source", "there is no folder 'missing'"),
        (5, "layers.c.source", "'file.txt' is a file, not a folder"),
        (6, "layers.d.source", "'.' is the project's own folder; name one inside it"),
        (7, "layers.e.source", "there is no folder 'nowhere'"),
        (8, "layers.f.source", "there is no folder 'circle'"),
        (9, "layers.g.source", "there is no folder"),
        (10, "layers.h.source", "there is no folder"),
        seen=False,
    ),
    # requirements
    bad(
        "requirements that are none",
        layer("requirements:\n  - Flask 3\n  - ./code\n  - -r requirements.txt\n  - '<4'"),
        (6, "layers.a.requirements[0]", "'Flask 3' is not a requirement: "),
        (7, "layers.a.requirements[1]", "'./code' is not a requirement: "),
        (8, "layers.a.requirements[2]", "'-r requirements.txt,<4' is not a requirement: "),
    ),
    bad(
        "requirements that a pattern takes",
        layer("requirements: [Flask>=3.x, 'Flask>=3;java', Flask=>3, Flask->=3]"),
        (5, "layers.a.requirements[0]", "'Flask>=3.x' is not a requirement"),
        (5, "layers.a.requirements[1]", "is not a requirement"),
        (5, "layers.a.requirements[2]", "is not a requirement"),
        (5, "layers.a.requirements[3]", "is not a requirement"),
    ),
    bad(
        "versions without a distribution",
        layer("requirements: ['>=3.1']"),
        (5, "layers.a.requirements[0]", "'>=3.1' is not a requirement"),
        seen=False,
    ),
    bad(
        "requirements by URL",
        layer(
            "requirements:\n  - x @ https://user:secret@example.com/x.whl\n"
            "  - git+https://secret@example.com/x\n  - x @ file:///x"
        ),
        *((6 + i, f"layers.a.requirements[{i}]", "is a URL; layers are locked from an index") for i in range(3)),
    ),
    bad(
        "a comparison that YAML takes for a tag",
        layer("requirements: [Flask<4,!=3.1.2,<5]"),
        (5, "layers.a.requirements[1]", "not a YAML tag (!=3.1.2); quote a text that begins with !"),
        seen=False,
    ),
    # the build container
    bad("container with nothing", top("container:"), (3, "container", "must be a mapping, not nothing")),
    bad(
        "container with an unknown key",
        container("images: build", "step_limit: 30", "network: none"),
        (4, "container.images", "unknown key 'images'; did you mean 'image'?"),
        (5, "container.step_limit", "unknown key 'step_limit'; did you mean 'step_minutes'?"),
        (6, "container.network", "unknown key 'network'; known: image, step_minutes"),
    ),
    bad(
        "image of a layer",
        layer("image: build\nstep_minutes: 3"),
        (5, "layers.a.image", "unknown key 'image'; image stands under container"),
        (6, "layers.a.step_minutes", "unknown key 'step_minutes'; step_minutes stands under container"),
    ),
    *(
        bad(f"image that is {kind}", container(f"image: {written}"), (4, "container.image", words))
        for kind, written, words in (
            ("nothing", "", "must be an image reference, not nothing"),
            ("null", "~", "must be an image reference, not nothing"),
            ("a number", "3.12", "must be an image reference, not a number (3.12)"),
            ("a yes/no value", "on", "must be an image reference, not a yes/no value (on)"),
            ("a list", "[build]", "must be an image reference, not a list"),
            ("a mapping", "{name: build}", "must be an image reference, not a mapping"),
            ("braces without quotes", "{runtime}", "not a mapping; quote a text that begins with {"),
            ("empty", "''", "'' is not an image reference: write it as registry.example.com/build:1"),
            ("a blank", "' '", "' ' is not an image reference: it holds white space or a control character"),
            ("two words", "build latest", "'build latest' is not an image reference: it holds white space"),
            ("wide white space", '"build\\u3000x"', "it holds white space or a control character"),
            ("a control character", '"build\\a"', "it holds white space or a control character"),
            ("an invisible character", '"build\\u200b"', "it holds white space or a control character"),
            ("two lines", '"build\\nx"', "it holds white space or a control character"),
        )
    ),
    *(
        bad(f"image {image}", container(f"image: '{image}'"), (4, "container.image", words))
        for words, images in (
            (
                "only {runtime} and {architecture} stand for something",
                ("build:{python}", "build:{}", "build:{Runtime}", "build:{{runtime}}", "build:{ runtime }"),
            ),
            (
                "only {runtime} and {architecture} stand for something",
                ("build:{runtime", "build:runtime}", "build:}{", "{arch}/build", "build:{runtime!r}"),
            ),
            (
                "cannot stand before the first /, where the registry stands",
                ("{runtime}/build", "{architecture}.example.com/build", "example.com:{runtime}/build"),
            ),
            (
                "write it in lower case; a tag alone may have capitals",
                ("Build", "MyTeam/build", "example.com/Team/build:1", "localhost:5000/team/Build@sha256:x", "a:1/B"),
            ),
            (
                "write it as registry.example.com/build:1",
                ("/build", "build/", "a//b", "-build", "build-", "a..b", "a___b", "build:", ":1", "a:b:c", "größe"),
            ),
            (
                "write it as registry.example.com/build:1",
                (
                    "my_registry:5000/build",
                    "example.com:/build",
                    "example.com:port/x",
                    "build:-1",
                    "build;id",
                    "$(id)",
                ),
            ),
            ("write it as registry.example.com/build:1", (f"build:{'t' * 129}", "--privileged")),
            (
                "after @ stands nothing but sha256: and 64 hexadecimal digits",
                (
                    "build@",
                    "build@1",
                    f"build@md5:{'0' * 32}",
                    "build@sha256:",
                    f"build@sha256:{'0' * 63}",
                    f"build@sha256:{'0' * 65}",
                    f"build@sha256:{'A' * 64}",
                    "build@sha256:{runtime}",
                    f"build@sha256:{'0' * 64}:1",
                ),
            ),
            ("is a URL; write an image reference, as", ("https://example.com/build", "docker://build")),
        )
        for image in images
    ),
    *(
        bad(
            f"a step of {written or 'nothing'}",
            container(f"step_minutes: {written}"),
            (4, "container.step_minutes", f"must be a whole number from 1 to 1440, not {kind}"),
        )
        for written, kind in (
            ("", "nothing"),
            ("~", "nothing"),
            ("0", "a number (0)"),
            ("-5", "a number (-5)"),
            ("1441", "a number (1441)"),
            ("9" * 12, "a number (999999999999)"),
            ("2.5", "a number (2.5)"),
            (".inf", "a number (.inf)"),
            ("30m", "text (30m)"),
            ("'30'", "text (30)"),
            ("1e1", "text (1e1)"),
            ("true", "a yes/no value (true)"),
            ("[30]", "a list"),
            ("{minutes: 30}", "a mapping"),
        )
    ),
    *(
        bad(
            f"a step of {written} in YAML",
            container(f"step_minutes: {written}"),
            (4, "container.step_minutes", f"not a number ({written}); write it in plain digits"),
            seen=False,
        )
        for written in ("30.0", "017", "0x1e", "0b11", "1_0", "+30", "1:30")
    ),
    # what a layer's builds find there
    *(
        bad(
            f"a network that is {written or 'nothing'}",
            built(f"network: {written}"),
            (5, "layers.a.network", f"{shown} is not a network for builds{hint}"),
        )
        for written, shown, hint in (
            ("", "nothing", ""),
            ("~", "'~'", "; write none"),
            ("null", "'null'", "; write none"),
            ("no", "'no'", "; write none"),
            ("false", "'false'", "; write none"),
            ("'off'", "'off'", "; write none"),
            ("True", "'True'", "; write default"),
            ("host", "'host'", "; write default"),
            ("None", "'None'", "; did you mean 'none'?"),
            ("isolated", "'isolated'", "; known: default, none"),
            ("0", "'0'", "; known: default, none"),
            ("[none]", "a list", "; known: default, none"),
            ("{mode: none}", "a mapping", "; known: default, none"),
        )
    ),
    *(
        bad(
            f"libraries to pack: {written or 'nothing'}",
            layer(f"pack_libraries: {written}"),
            (5, "layers.a.pack_libraries", f"must be true or false, not {words}"),
        )
        for written, words in (
            ("", "nothing"),
            ("~", "nothing"),
            ('"yes"', "text (yes); write true"),
            ("'True'", "text (True); write true"),
            ("'no'", "text (no); write false"),
            ("'OFF'", "text (OFF); write false"),
            ("auto", "text (auto)"),
            ("y", "text (y)"),
            ("1", "a number (1)"),
            ("[true]", "a list"),
            ("{libpq: true}", "a mapping"),
        )
    ),
    bad(
        "builds misdeclared in defaults",
        top("defaults:\n  network: no\n  pack_libraries: 'yes'\n  system_packages: [gcc]\n  pack_library: true"),
        (4, "defaults.network", "'no' is not a network for builds; write none"),
        (5, "defaults.pack_libraries", "must be true or false, not text (yes); write true"),
        (6, "defaults.system_packages", "unknown key 'system_packages'; write it in each layer that needs it"),
        (7, "defaults.pack_library", "unknown key 'pack_library'; did you mean 'pack_libraries'?"),
    ),
    bad(
        "system packages of the wrong type",
        layers(
            "a: {requirements: [x], system_packages: gcc}",
            "b: {requirements: [x], system_packages: }",
            "c: {requirements: [x], system_packages: {gcc: 12}}",
            "d: {requirements: [x], system_packages: [1, ~, [gcc], {}, no]}",
            "e: {source: code, system_packages: none}",
        ),
        (3, "layers.a.system_packages", "must be a list of system packages: [gcc], not text (gcc)"),
        (4, "layers.b.system_packages", "must be a list of system packages, not nothing"),
        (5, "layers.c.system_packages", "must be a list of system packages, not a mapping"),
        (6, "layers.d.system_packages[0]", "must be the name of a system package, not a number (1)"),
        (6, "layers.d.system_packages[1]", "not nothing"),
        (6, "layers.d.system_packages[2]", "not a list"),
        (6, "layers.d.system_packages[3]", "not a mapping"),
        (6, "layers.d.system_packages[4]", "not a yes/no value (no)"),
        (7, "layers.e.system_packages", "must be a list of system packages: [none], not text (none)"),
    ),
    bad(
        "system packages that are none",
        built(
            "system_packages:\n  - ''\n  - -y\n  - --installroot=/x\n  - gcc make\n  - gcc;id\n  - ./x.rpm\n"
            "  - 'https://example.com/x.rpm'\n  - '@development'\n  - libpq*\n  - größe\n  - gcc>=12\n  - \"gcc\\0\""
        ),
        (6, "layers.a.system_packages[0]", "'' is not the name of a system package: write letters, digits and + ."),
        (7, "layers.a.system_packages[1]", "'-y' is not the name of a system package"),
        *((8 + i, f"layers.a.system_packages[{2 + i}]", "a letter or digit first") for i in range(10)),
    ),
    bad(
        "system package twice",
        built("system_packages: [gcc, make, gcc]"),
        (5, "layers.a.system_packages[2]", "'gcc' is here twice"),
    ),
    bad(
        "system package for system packages",
        built("system_package: gcc"),
        (5, "layers.a.system_package", "unknown key 'system_package'; did you mean 'system_packages'?"),
    ),
    bad(
        "builds of nothing",
        layers(
            "a: {source: code, system_packages: [gcc]}",
            "b: {source: code, network: none}",
            "c: {source: code, requirements: [], system_packages: [gcc], network: none}",
        ),
        (3, "layers.a.system_packages", "there is nothing to build: the layer has no requirements"),
        (4, "layers.b.network", "there is nothing to build: the layer has no requirements"),
        (5, "layers.c.system_packages", "there is nothing to build"),
        (5, "layers.c.network", "there is nothing to build"),
    ),
    bad(
        "builds of an empty layer",
        layers("a: {system_packages: [gcc]}"),
        (3, "layers.a", "the layer is empty"),
        (3, "layers.a.system_packages", "there is nothing to build"),
    ),
    bad(
        "builds of nothing, in a wrong way",
        layers("a: {source: code, network: off}", "b: {requirements: Flask, network: none, system_packages: [gcc]}"),
        (3, "layers.a.network", "'off' is not a network for builds; write none"),
        (4, "layers.b.requirements", "must be a list of requirements"),
    ),
    # functions
    bad(
        "functions without layers",
        top("functions:\n  f: {handler: a.b}\n  g:\n  h: {layers: a}"),
        (4, "functions.f", "the key 'layers' is missing"),
        (5, "functions.g", "must be a mapping, not nothing"),
        (5, "functions.g", "the key 'layers' is missing"),
        (6, "functions.h.layers", "must be a list of layers: [a], not text (a)"),
    ),
    bad(
        "function with unknown layers",
        top("functions:\n  f:\n    layers:\n      - a\n      - aa\n      - other"),
        (7, "functions.f.layers[1]", "there is no layer 'aa'; did you mean 'a'?"),
        (8, "functions.f.layers[2]", "there is no layer 'other'; known: a"),
        seen=False,
    ),
    bad(
        "function with six layers",
        layers(*(f"{key}: {{source: code}}" for key in "abcdef")) + "functions: {f: {layers: [a, b, c, d, e, f]}}\n",
        (9, "functions.f.layers", "has 6 layers; AWS takes at most 5"),
    ),
    bad(
        "function with one layer twice",
        top("functions: {f: {layers: [a, a]}}"),
        (3, "functions.f.layers[1]", "'a' is here twice"),
    ),
    bad(
        "function with an unknown key",
        top("functions: {f: {layers: [a], runtime: python3.12}}"),
        (3, "functions.f.runtime", "unknown key 'runtime'; known: source, handler, layers"),
    ),
    bad(
        "handlers that are none",
        top(
            "functions:\n"
            "  f: {layers: [a], handler: main}\n"
            "  g: {layers: [a], handler: 'main:app'}\n"
            "  h: {layers: [a], handler: a..1}\n"
            "  i: {layers: [a], source: ../x}"
        ),
        (4, "functions.f.handler", "'main' is not a handler: write module.function"),
        (5, "functions.g.handler", "'main:app' is not a handler"),
        (6, "functions.h.handler", "'a..1' is not a handler"),
        (7, "functions.i.source", "'../x' is not a folder"),
    ),
    bad(
        "variables of the wrong type",
        function("environment: [A]"),
        (6, "functions.f.environment", "must be a mapping of variables to their texts, not a list"),
    ),
    bad(
        "variables that are no text",
        function('environment:\n  N1: 17\n  N2: yes\n  N3:\n  N4: [x]\n  N5: {x: y}\n  N6: 1.5\n  N7: "a\\0b"'),
        (7, "functions.f.environment.N1", "must be text, not a number; quote it"),
        (8, "functions.f.environment.N2", "must be text, not a yes/no value; quote it"),
        (9, "functions.f.environment.N3", "must be text, not nothing; write '' for an empty one"),
        (10, "functions.f.environment.N4", "must be text, not a list"),
        (11, "functions.f.environment.N5", "must be text, not a mapping"),
        (12, "functions.f.environment.N6", "must be text, not a number; quote it"),
        (13, "functions.f.environment.N7", "holds a null character, which no variable can"),
    ),
    bad(
        "a date as a variable",
        function("environment: {DAY: 2026-11-21}"),
        (6, "functions.f.environment.DAY", "must be text, not a timestamp; quote it"),
        seen=False,
    ),
    *(
        bad(
            f"variable named {name[:9]}",
            function(f"environment: {{'{name}': x}}"),
            (6, f"functions.f.environment.{name}", "is not the name of a variable: AWS takes letters, digits and _"),
        )
        for name in ("A", "_A", "1A", "A-B", "A B", "A=B", "", "ÄB", "A.B")
    ),
    *(
        bad(
            f"variable {name}",
            function(f"environment: {{{name}: x}}"),
            (6, f"functions.f.environment.{name}", "is set by Lambda itself, and AWS refuses it here"),
        )
        for name in targets.reserved_variables()
    ),
    bad(
        "more variables than AWS takes",
        function(f"environment: {{AB: {'é' * 2044}}}"),
        (6, "functions.f.environment", "has 4097 bytes as JSON; AWS takes at most 4096 for all variables"),
        seen=False,
    ),
    *(
        bad(f"{key} {written}", function(f"{key}: {written}"), (6, f"functions.f.{key}", words))
        for key, written, words in (
            ("timeout", "0", "must be a whole number from 1 to 900, not a number (0)"),
            ("timeout", "901", "must be a whole number from 1 to 900, not a number (901)"),
            ("timeout", "2.5", "must be a whole number from 1 to 900, not a number (2.5)"),
            ("timeout", "'3'", "must be a whole number from 1 to 900, not text (3)"),
            ("memory", "127", "must be a whole number from 128 to 10240, not a number (127)"),
            ("memory", "10241", "must be a whole number from 128 to 10240, not a number (10241)"),
            ("memory", "512MB", "must be a whole number from 128 to 10240, not text (512MB)"),
            ("memory", "~", "must be a whole number from 128 to 10240, not nothing"),
        )
    ),
    bad(
        "timeout in other digits",
        function("timeout: 0x10"),
        (6, "functions.f.timeout", "write it in plain digits"),
        seen=False,
    ),
    # publish
    bad(
        "regions that are none",
        top("publish:\n  regions: [us, US-EAST-1, us-east-1a, us-east-1, us-east-1, 1, '']"),
        (4, "publish.regions[4]", "'us-east-1' is here twice"),
        (4, "publish.regions[0]", "'us' is not an AWS region"),
        (4, "publish.regions[1]", "is not an AWS region"),
        (4, "publish.regions[2]", "is not an AWS region"),
        (4, "publish.regions[5]", "must be an AWS region, not a number (1)"),
        (4, "publish.regions[6]", "'' is not an AWS region"),
    ),
    bad(
        "share misspelt",
        top("publish: {share: Public}"),
        (
            3,
            "publish.share",
            "'Public' is not private, public, {accounts: [...]} or {organization: o-...}; did you mean 'public'?",
        ),
    ),
    bad("share with nothing", top("publish: {share: }"), (3, "publish.share", "nothing is not private, public,")),
    bad(
        "share as a list",
        top("publish: {share: ['123456789012']}"),
        (3, "publish.share", "a list is not private, public,"),
    ),
    bad(
        "share with nobody",
        top("publish: {share: {}}"),
        (3, "publish.share", "names neither accounts nor an organization; write private"),
    ),
    bad(
        "share with no accounts",
        top("publish: {share: {accounts: []}}"),
        (3, "publish.share.accounts", "names no account"),
    ),
    bad(
        "share with an unknown key",
        top("publish: {share: {account: ['123456789012']}}"),
        (3, "publish.share.account", "did you mean 'accounts'?"),
    ),
    bad(
        "accounts that are none",
        top("publish: {share: {accounts: [12345, '12345678901x', [], '１２３４５６７８９０１２']}}"),
        *((3, f"publish.share.accounts[{i}]", "is not the number of an account: 12 digits") for i in range(4)),
    ),
    bad(
        "account twice",
        top("publish: {share: {accounts: ['123456789012', '123456789012']}}"),
        (3, "publish.share.accounts[1]", "'123456789012' is here twice"),
    ),
    bad(
        "organization that is none",
        top("publish: {share: {organization: o-ABC}}"),
        (3, "publish.share.organization", "'o-ABC' is not an organization's id: o- and 10 to 32"),
    ),
    *(
        bad(f"bucket {name!r}", top(f"publish: {{bucket: '{name}'}}"), (3, "publish.bucket", words))
        for name, words in (
            ("", "'' is not a bucket's name"),
            ("ab", "'ab' is not the name of a bucket: 3 to 63 lower-case letters"),
            ("Abc", "is not the name of a bucket"),
            ("a_b", "is not the name of a bucket"),
            ("a..b", "is not the name of a bucket"),
            ("-abc", "is not the name of a bucket"),
            ("abc.", "is not the name of a bucket"),
            ("s3://abc", "is not the name of a bucket"),
            ("192.168.0.1", "is not the name of a bucket"),
            ("xn--abc", "is not the name of a bucket"),
            ("abc--x-s3", "is not the name of a bucket"),
            ("a{region", "is not the name of a bucket"),
            ("{}abc", "{} is no placeholder; known: region, account"),
            ("a-{regoin}", "{regoin} is no placeholder; did you mean 'region'?"),
            ("a" * 64, "is not the name of a bucket"),
        )
    ),
    bad(
        "bucket as a number",
        top("publish: {bucket: 123}"),
        (3, "publish.bucket", "must be a bucket's name, not a number"),
    ),
    bad(
        "bucket as a list",
        top("publish: {bucket: [abc]}"),
        (3, "publish.bucket", "must be a bucket's name, not a list"),
    ),
    bad(
        "one bucket for several regions",
        top("publish:\n  regions: [us-east-1, eu-west-1]\n  bucket: {name: 'a-{account}'}"),
        (5, "publish.bucket.name", "there are several regions, and a bucket serves its own alone: put {region} into"),
        seen=False,
    ),
    bad(
        "a bucket's name that grows too long",
        top(f"publish: {{regions: [ap-southeast-1], bucket: '{'a' * 50}{{region}}'}}"),
        (3, "publish.bucket", "aap-southeast-1': 64 characters; AWS takes at most 63"),
        seen=False,
    ),
    bad("bucket without a name", top("publish: {bucket: {}}"), (3, "publish.bucket", "the key 'name' is missing")),
    bad(
        "bucket's name without quotes",
        top("publish:\n  bucket: {region}"),
        (4, "publish.bucket.region", "unknown key 'region'; quote a name that begins with {"),
        (4, "publish.bucket", "the key 'name' is missing"),
    ),
    bad(
        "bucket's other keys",
        top("publish: {bucket: {name: abc, prefix: /x, keep: 1, mode: COPY, perfix: x}}"),
        (3, "publish.bucket.perfix", "did you mean 'prefix'?"),
        (3, "publish.bucket.prefix", "'/x' is not a prefix of keys: parts of letters, digits"),
        (3, "publish.bucket.mode", "'COPY' is not copy or reference; did you mean 'copy'?"),
        (3, "publish.bucket.keep", "must be true or false, not a number (1)"),
    ),
    *(
        bad(
            f"prefix {prefix[:9]}",
            top(f"publish: {{bucket: {{name: abc, prefix: '{prefix}'}}}}"),
            (3, "publish.bucket.prefix", words),
        )
        for prefix, words in (
            ("a//b", "'a//b' is not a prefix of keys"),
            ("../a", "'../a' is not a prefix of keys"),
            ("a b", "'a b' is not a prefix of keys"),
            ("p" * 513, "has 513 characters; AWS takes at most 512"),
        )
    ),
    bad(
        "reference that is not kept",
        top("publish: {bucket: {name: abc, mode: reference, keep: no}}"),
        (3, "publish.bucket.keep", "with mode: reference Lambda uses the object where it is, so it is kept"),
    ),
    *(
        bad(f"parameters {prefix[:9]}", top(f"publish: {{parameters: '{prefix}'}}"), (3, "publish.parameters", words))
        for prefix, words in (
            ("", "'' is not a prefix of SSM parameters"),
            ("/", "'/' is not a prefix of SSM parameters: 1 to 10 levels"),
            ("layerkit", "is not a prefix of SSM parameters"),
            ("/a//b", "is not a prefix of SSM parameters"),
            ("/Aws-x/y", "the first not beginning with aws or ssm"),
            ("/ssm", "the first not beginning with aws or ssm"),
            ("/a b", "is not a prefix of SSM parameters"),
            ("/é", "is not a prefix of SSM parameters"),
            ("/a" * 11, "1 to 10 levels"),
            (f"/{'p' * 800}", "has 801 characters; at most 800 leave room"),
        )
    ),
    bad(
        "many mistakes at once",
        """\
version: 1
publish: {share: everyone}
functions:
  hello: {layers: [flask, falsk]}
defaults:
  architectures: [amd64]
layers:
  flask:
    nmae: flask
    requirements: [Flask>=3.1,<4]
    runtimes: [3.12]
  empty:
    description: nothing
""",
        (2, "publish.share", "'everyone' is not private"),
        (4, "functions.hello.layers[1]", "did you mean 'flask'?"),
        (6, "defaults.architectures[0]", "write x86_64"),
        (9, "layers.flask.nmae", "did you mean 'name'?"),
        (11, "layers.flask.runtimes[0]", "write python3.12"),
        (12, "layers.empty", "the layer is empty"),
    ),
]
