"""A function that fails: its own file and line, what is missing, which layer would have to provide it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from blaming import ELF, MACHINE, World, wheel
from layerkit.errors import IndexUnreachable
from layerkit.local.blame import Blame, blame, offered, standard, trace
from layerkit.local.blame.trace import Frame
from layerkit.local.nouns import Failure
from wheelhouse import Index, make_wheel

HANDLER = "def handler(event, context):\n    return 1\n"
HERE = f"python{sys.version_info[0]}.{sys.version_info[1]}"
PLAIN = {"web": "requirements: [webby]"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(folder=tmp_path / "project")
    made.folder.mkdir()
    monkeypatch.chdir(made.folder)
    return made


# -- the user's own place


def test_the_deepest_line_of_the_function_and_not_of_what_it_calls(world: World) -> None:
    world.source(
        "import helpers\n\ndef handler(event, context):\n    return helpers.half(event)\n",
        helpers="import webby\n\ndef half(x):\n    return webby.half(x)\n",
    )
    world.zip("web", wheel("webby", "1.0", {"webby.py": "def half(x):\n    return x / 2\n"}))
    found = world.blames(world.project(PLAIN, ["web"]))
    assert found == Blame(file="src/helpers.py", line=4, code="return webby.half(x)")


def test_an_import_that_fails_at_init_is_the_users_line(world: World) -> None:
    world.source("import os\nLIMIT = int(\n    'many')\n\n" + HANDLER)
    found = world.blames(world.project(PLAIN))
    assert (found.file, found.line, found.code) == ("src/main.py", 2, "LIMIT = int(")


def test_a_path_is_relative_to_the_current_folder_or_the_users_own(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world.source("def handler(event, context):\n    raise ValueError\n")
    project = world.project(PLAIN)
    failure = world.fails(project)
    monkeypatch.chdir(world.folder / "src")
    assert world.blames(project, failure).file == "main.py"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert world.blames(project, failure).file == str(world.folder / "src/main.py")
    (tmp_path / "link").symlink_to(world.folder)
    monkeypatch.chdir(tmp_path / "link")
    assert world.blames(project, failure).file == "src/main.py"
    elsewhere.rmdir()


def test_a_syntax_error_is_where_it_is(world: World) -> None:
    world.source("import helpers\n" + HANDLER, helpers="x = 1\ndef half(:\n    pass\n")
    found = world.blames(world.project(PLAIN))
    assert (found.file, found.line, found.code) == ("src/helpers.py", 2, "def half(:")


def test_a_syntax_error_at_the_first_event_is_where_it_is(world: World) -> None:
    world.source("def handler(event, context):\n    import helpers\n", helpers="x = 1\ndef half(:\n    pass\n")
    found = world.blames(world.project(PLAIN))
    assert (found.file, found.line, found.code) == ("src/helpers.py", 2, "def half(:")


def test_code_that_only_a_newer_python_takes(world: World) -> None:
    world.runtime = "python3.10"
    world.source("try:\n    pass\nexcept* ValueError:\n    pass\n" + HANDLER)
    failure = Failure(
        type="Runtime.UserCodeSyntaxError",
        message="Syntax error in module 'main': expected ':' (main.py, line 3)",
        trace=('  File "/var/task/main.py" Line 3\n    except* ValueError:\n',),
    )
    found = world.blames(world.project(PLAIN), failure)
    assert (found.file, found.line, found.code) == ("src/main.py", 3, "except* ValueError:")
    assert "takes it, python3.10 does not" in found.advice


def test_a_layers_own_source_is_the_users(world: World) -> None:
    world.write({"lib/shared/__init__.py": "def half(x):\n    return x / 2\n"})
    world.zip("own", {"shared/__init__.py": "def half(x):\n    return x / 2\n"})
    world.handler = "shared.half"
    failure = Failure(
        type="TypeError", message="unsupported", trace=('  File "/opt/python/shared/__init__.py", line 2, in half\n',)
    )
    found = world.blames(world.project({"own": "source: lib"}, ["own"]), failure)
    assert found == Blame(file="lib/shared/__init__.py", line=2, code="return x / 2", advice="")


def test_a_file_of_a_distribution_alone_says_whose_it_is(world: World) -> None:
    world.handler = "webby.handler"
    world.zip("web", wheel("webby", "1.5", {"webby.py": "def handler(event, context):\n    return 1 / 0\n"}))
    found = world.blames(world.project(PLAIN, ["web"]))
    assert (found.file, found.line, found.code) == ("/opt/python/webby.py", 2, "return 1 / 0")
    assert found.advice == "it is in webby 1.5 of the layer 'web'"


def test_no_other_path_of_this_machine_is_told(world: World) -> None:
    world.source(HANDLER)
    failure = Failure(
        type="PermissionError",
        message="[Errno 13] Permission denied: '/home/ann/secret/file.txt'",
        trace=('  File "/home/ann/venv/x.py", line 1, in <module>\n    x\n',),
    )
    found = world.blames(world.project(PLAIN), failure)
    assert found.file == ""
    assert "ann" not in repr(found)
    assert "file.txt is not open to Lambda's user" in found.advice


# -- a module that a layer of the project has


def test_a_layer_that_is_not_attached_has_it(world: World) -> None:
    world.source("import webby\n" + HANDLER)
    world.zip("web", wheel("webby", "1.0", {"webby/__init__.py": ""}))
    found = world.blames(world.project(PLAIN))
    assert found == Blame(
        file="src/main.py",
        line=1,
        code="import webby",
        missing="webby",
        advice="the layer 'web' has 'webby' (webby 1.0): add it to functions.hello.layers",
    )
    assert world.asked == []


def test_what_that_layer_uses_is_added_before_it(world: World) -> None:
    world.source("import webby\n" + HANDLER)
    world.zip("web", wheel("webby", "1.0", {"webby.py": ""}))
    world.zip("base", wheel("base", "1.0", {"base.py": ""}))
    layers = {"base": "requirements: [base]", "mid": "requirements: [mid], uses: [base]",
              "web": "requirements: [webby], uses: [mid]"}  # fmt: skip
    advice = world.blames(world.project(layers)).advice
    assert advice.endswith("add it to functions.hello.layers, after 'base' and 'mid', which it uses")
    world.zip("mid", {"mid.py": ""})
    (world.folder / "root").rename(world.folder / "before")
    advice = world.blames(world.project(layers, ["base", "mid"])).advice
    assert advice.endswith("add it to functions.hello.layers")


def test_own_source_comes_before_a_large_layer_that_has_it_too(world: World) -> None:
    world.source("from shared import x\n" + HANDLER)
    world.write({"lib/shared.py": ""})
    world.zip("all", wheel("shared", "9", {"shared.py": ""}))
    world.zip("own", {"shared.py": ""})
    found = world.blames(world.project({"all": "requirements: [shared]", "own": "source: lib"}))
    assert found.advice == "the layer 'own' has 'shared': add it to functions.hello.layers"


def test_a_sixth_layer_cannot_be_attached(world: World) -> None:
    world.source("import webby\n" + HANDLER)
    keys = [f"l{n}" for n in range(5)]
    for key in keys:
        world.zip(key, {f"{key}.py": ""})
    world.zip("web", {"webby.py": ""})
    layers = dict.fromkeys(keys, "requirements: [x]") | PLAIN
    advice = world.blames(world.project(layers, keys)).advice
    assert "the layer 'web' has 'webby', but the function has 5 layers already, and Lambda takes 5" in advice


def test_a_part_of_a_shared_package_that_another_layer_has(world: World) -> None:
    world.source("from cloud import storage\nimport cloud.queue\n" + HANDLER)
    world.zip("web", {"cloud/storage.py": ""})
    world.zip("queue", {"cloud/queue.py": ""})
    found = world.blames(world.project(PLAIN | {"queue": "requirements: [q]"}, ["web"]))
    assert found.missing == "cloud.queue"
    assert found.advice == "the layer 'queue' has 'cloud.queue': add it to functions.hello.layers"


def test_a_layer_for_another_target_has_not_what_is_wanted(world: World) -> None:
    world.source("import webby\n" + HANDLER)
    world.zip("web", {"webby.py": ""})
    found = world.blames(
        world.project({"web": "requirements: [webby], architectures: [arm64]", "b": "requirements: [b]"}),
        absent=["webby"],
    )
    assert found.advice == (
        f"the layer 'web' requires webby, and is not declared for {HERE} on x86_64: add that to its runtimes and "
        f"architectures, then layerkit lock && layerkit build, and add it to functions.hello.layers"
    )


# -- a module that is declared or locked, and not built


def test_the_lock_has_it_and_the_zip_is_older(world: World) -> None:
    world.source("import yaml\n" + HANDLER)
    world.zip("web", wheel("webby", "1.0", {"webby.py": ""}))
    project = world.project({"web": "requirements: [webby, PyYAML]"}, ["web"])
    world.lock(project, web={"webby": "1.0", "pyyaml": "6.0.2"})
    found = world.blames(project)
    assert found.advice == "the lock has pyyaml 6.0.2 for the layer 'web', its zip has it not: layerkit build"


def test_the_zip_has_an_older_version_than_the_lock(world: World) -> None:
    world.source("import webby.ext\n" + HANDLER)
    world.zip("web", wheel("webby", "1.0", {"webby/__init__.py": ""}))
    project = world.project(PLAIN, ["web"])
    world.lock(project, web={"webby": "1.1"})
    assert world.blames(project).advice == (
        "the lock has webby 1.1 for the layer 'web', its zip has 1.0: layerkit build"
    )


def test_what_a_used_layer_packs_is_not_wanted_of_the_other(world: World) -> None:
    world.source("import webby.ext\n" + HANDLER)
    world.zip("web", wheel("webby", "1.0", {"webby/__init__.py": ""}))
    world.zip("more", {"more.py": ""})
    layers = {"more": "requirements: [more, webby], uses: [web]", **PLAIN}
    project = world.project(layers, ["web", "more"])
    world.lock(project, web={"webby": "1.0"}, more={"webby": "1.0"})
    assert world.blames(project).advice.startswith("webby 1.0 of the layer 'web' has no 'ext'")


def test_a_requirement_that_is_not_locked_yet(world: World) -> None:
    world.source("import yaml\n" + HANDLER)
    world.zip("web", wheel("webby", "1.0", {"webby.py": ""}))
    project = world.project({"web": "requirements: [webby, 'PyYAML>=6']"}, ["web"])
    advice = world.blames(project).advice
    assert advice == "the layer 'web' requires pyyaml, which is not locked yet: layerkit lock && layerkit build"


def test_a_layer_that_is_neither_built_nor_attached(world: World) -> None:
    world.source("import yaml\n" + HANDLER)
    project = world.project({"web": "requirements: [PyYAML]"})
    world.lock(project, web={"pyyaml": "6.0.2"})
    advice = world.blames(project).advice
    assert advice.endswith("for the layer 'web', it has no zip: layerkit build, and add it to functions.hello.layers")


def test_own_source_that_is_newer_than_its_zip(world: World) -> None:
    world.source("import shared.new\n" + HANDLER)
    world.write({"lib/shared/__init__.py": "", "lib/shared/new.py": ""})
    world.zip("own", {"shared/__init__.py": ""})
    advice = world.blames(world.project({"own": "source: lib"}, ["own"])).advice
    assert advice == "the layer 'own' has 'shared.new' in lib, its zip has it not: layerkit build"


def test_a_damaged_lock_and_a_damaged_zip_are_not_there(world: World) -> None:
    world.source("import webby\n" + HANDLER)
    world.write({"layers.lock": "?", "dist/web.zip": b"PK no zip"})
    world.index = {"webby": "1.0"}
    advice = world.blames(world.project({"web": "requirements: [other]"})).advice
    assert "the index has a distribution named webby 1.0" in advice


# -- a module that an attached layer has, and Python does not take


@pytest.mark.parametrize("declared", [True, False], ids=["in layers.yaml", "by --env"])
def test_pythonpath_switches_the_layers_off(declared: bool, world: World) -> None:
    world.source("import webby\n" + HANDLER)
    world.zip("web", {"webby.py": ""})
    if declared:
        world.function = ", environment: {PYTHONPATH: /x}"
    else:
        world.variables = {"PYTHONPATH": "/x"}
    found = world.blames(world.project(PLAIN, ["web"]), import_error("webby"))
    place = "functions.hello.environment" if declared else "--env"
    assert found.advice == f"PYTHONPATH is set, and so Lambda's Python looks into no layer: take it out of {place}"


def test_pythonpath_is_told_first_and_not_alone(world: World) -> None:
    world.source("import webby\n" + HANDLER)
    world.zip("web", {"webby.py": ""})
    world.zip("base", {"base.py": ""})
    world.variables = {"PYTHONPATH": "/x"}
    advice = world.blames(world.project({**PLAIN, "base": "requirements: [b]"}, ["base"])).advice
    assert advice.startswith("PYTHONPATH is set")
    assert advice.endswith("; then: the layer 'web' has 'webby': add it to functions.hello.layers")


def test_the_functions_own_module_hides_a_layers_package(world: World) -> None:
    world.source("import webby.tools\n" + HANDLER, webby="x = 1\n")
    world.zip("web", {"webby/__init__.py": "", "webby/tools.py": ""})
    found = world.blames(world.project(PLAIN, ["web"]))
    assert found.missing == "webby.tools"
    assert found.advice == "src/webby.py hides the package 'webby' of the layer 'web': rename it"


def test_a_folder_of_another_python(world: World) -> None:
    world.source("import webby\n" + HANDLER)
    world.zip("web", {"lib/python3.9/site-packages/webby/__init__.py": ""})
    advice = world.blames(world.project(PLAIN, ["web"])).advice
    assert "/opt/python/lib/python3.9/site-packages/webby/__init__.py, which is for python3.9" in advice
    assert advice.endswith(f"the function runs on {HERE}: layerkit verify web")


def test_a_module_that_is_not_spelled_alike_is_not_taken_for_it(world: World) -> None:
    world.source("import webby.ext\n" + HANDLER)
    world.zip("web", wheel("webby", "1.0", {"webby/__init__.py": "", "webby/ctx.py": ""}))
    assert "did you mean" not in world.blames(world.project(PLAIN, ["web"])).advice


@pytest.mark.parametrize("end", ["cpython-39-x86_64-linux-gnu.so", "cpython-311-darwin.so", "cp311-win_amd64.pyd"])
def test_an_extension_for_something_else(end: str, world: World) -> None:
    world.source("import core\n" + HANDLER)
    world.zip("web", {"core/__init__.py": "from core import _core\nimport core._core", f"core/_core.{end}": ELF})
    found = world.blames(world.project(PLAIN, ["web"]), import_error("core._core"))
    assert found.missing == "core._core"
    assert f"the layer 'web' has /opt/python/core/_core.{end}, which {HERE} on x86_64 does not load" in found.advice


def other_architecture(world: World) -> str:
    """Makes the function one for a machine that this one is not; its kernel's name."""
    here = platform.machine()
    world.architecture = "x86_64" if here in ("aarch64", "arm64") else "arm64"
    return "x86_64" if world.architecture == "x86_64" else "aarch64"


@pytest.mark.parametrize("message", ["No module named 'core._core'", "/opt/python/core/_core.so: ELF file's version"])
def test_an_extension_for_the_function_that_this_machine_does_not_load(message: str, world: World) -> None:
    machine = other_architecture(world)
    world.source("import core._core\n" + HANDLER)
    end = ".so" if message.startswith("/opt") else f".{HERE.replace('python3.', 'cpython-3')}-{machine}-linux-gnu.so"
    world.zip("web", {"core/__init__.py": "", f"core/_core{end}": ELF + MACHINE[machine]})
    failure = Failure(type="Runtime.ImportModuleError", message=f"Unable to import module 'main': {message}")
    advice = world.blames(world.project(PLAIN, ["web"]), failure).advice
    assert f"/opt/python/core/_core{end}" in advice
    assert f"which is for {world.architecture}, as the function is, and not for this machine" in advice
    assert advice.endswith("--in container")


def test_an_extension_for_something_else_in_the_source(world: World) -> None:
    world.source("import _core\n" + HANDLER)
    world.write({"src/_core.cpython-39-x86_64-linux-gnu.so": ELF})
    advice = world.blames(world.project(PLAIN)).advice
    assert advice.startswith("there is src/_core.cpython-39-x86_64-linux-gnu.so, which")


def test_a_module_that_others_may_not_read(world: World) -> None:
    world.source("import webby\n" + HANDLER)
    world.zip("web", {"webby.py": ""}, {"webby.py": 0o600})
    advice = world.blames(world.project(PLAIN, ["web"]), import_error("webby")).advice
    assert advice.startswith("the layer 'web' has /opt/python/webby.py, which Lambda's user may not read")


# -- a module that is somewhere else


def test_a_file_of_the_project_outside_of_the_source(world: World) -> None:
    world.source("import helpers\n" + HANDLER)
    world.write({"tools/helpers.py": "", ".venv/pyvenv.cfg": "", "node_modules/helpers.py": ""})
    found = world.blames(world.project(PLAIN))
    assert found.advice == (
        "src/main.py imports 'helpers'; there is tools/helpers.py, which is not in the function's source src/: "
        "move it there, or make its folder the source of a layer"
    )


@pytest.mark.parametrize("folder", [".hidden", "node_modules", "env", "dist", "lib/python3.12/site-packages"])
def test_files_that_are_not_the_projects_are_not_taken_for_it(folder: str, world: World) -> None:
    world.source("import helpers\n" + HANDLER)
    world.write({f"{folder}/helpers.py": "", "env/pyvenv.cfg": ""})
    assert "there is" not in world.blames(world.project(PLAIN)).advice


def test_a_misspelt_module_of_the_source(world: World) -> None:
    world.source("import helper\n" + HANDLER, helpers="")
    world.index = {"helper": "9.9"}
    found = world.blames(world.project(PLAIN))
    assert found.advice == "nothing has 'helper'; did you mean 'helpers' (src/helpers.py)?"
    assert world.asked == [], "what somebody else has registered is not offered"


def test_a_misspelt_module_of_a_layer(world: World) -> None:
    world.source("import wbby\n" + HANDLER)
    world.zip("web", {"webby.py": ""})
    assert world.blames(world.project(PLAIN, ["web"])).advice == (
        "nothing has 'wbby'; did you mean 'webby' of the layer 'web'?"
    )


def test_a_misspelt_module_inside_of_a_package(world: World) -> None:
    world.source("from webby.tool import x\n" + HANDLER)
    world.zip("web", wheel("webby", "1.0", {"webby/__init__.py": "", "webby/tools.py": ""}))
    advice = world.blames(world.project(PLAIN, ["web"])).advice
    assert advice == "webby 1.0 of the layer 'web' has no 'tool'; did you mean 'webby.tools'?"


def test_a_module_of_another_version(world: World) -> None:
    world.source("import webby.ext\n" + HANDLER)
    world.zip("web", wheel("webby", "1.0", {"webby/__init__.py": "", "webby/tools.py": ""}))
    advice = world.blames(world.project(PLAIN, ["web"])).advice
    assert advice == "webby 1.0 of the layer 'web' has no 'ext': it is of another version, or misspelt"


def test_a_popular_name_misspelt_is_told_before_what_the_index_has(world: World) -> None:
    world.source("import reqeusts\n" + HANDLER)
    world.index = {"reqeusts": "0.0.1"}
    advice = world.blames(world.project(PLAIN)).advice
    assert advice.startswith("nothing has 'reqeusts'; did you mean 'requests'? Else: ")
    assert "if it is the one you mean" in advice


def test_a_name_like_one_of_the_standard_library_may_be_one_of_its_own(world: World) -> None:
    world.source("import ujson\n" + HANDLER)
    world.zip("web", {"webby.py": ""})
    world.index = {"ujson": "5.10"}
    advice = world.blames(world.project(PLAIN, ["web"])).advice
    assert "did you mean 'json' of the standard library? Else:" in advice
    assert "add ujson to layers.web.requirements" in advice


# -- a module that Python has no more, or not yet; that the runtime has; of an extra


@pytest.mark.parametrize(
    ("module", "runtime", "words"),
    [
        ("distutils", "python3.12", "'distutils' went out of the standard library with Python 3.12; 'distutils' is of setuptools, of which the index has 80.9"),  # noqa: E501
        ("distutils.util", "python3.13", "went out of the standard library with Python 3.12"),
        ("imp", "python3.12", "with Python 3.12; in its place there is importlib; change the import"),
        ("cgi", "python3.13", "with Python 3.13; 'cgi' is of legacy-cgi, of which the index has 2.6"),
        ("asyncore", "python3.14", "with Python 3.12; in its place there is asyncio; 'asyncore' is of pyasyncore"),
        ("tomllib", "python3.10", "is in the standard library from Python 3.11 on, and this is 3.10; 'tomllib' is of tomli"),  # noqa: E501
        ("annotationlib", "python3.13", "from Python 3.14 on, and this is 3.13; change the import"),
    ],
)  # fmt: skip
def test_the_standard_library_of_this_python(module: str, runtime: str, words: str, world: World) -> None:
    world.runtime = runtime
    world.source(f"import {module}\n" + HANDLER)
    world.index = {"setuptools": "80.9", "legacy-cgi": "2.6", "pyasyncore": "1.0", "tomli": "2.3"}
    failure = Failure(
        type="Runtime.ImportModuleError",
        message=f"Unable to import module 'main': No module named '{module}'",
        cause=tuple(TRACE.format(code=f"import {module}", module=module).splitlines()),
    )
    assert words in world.blames(world.project(PLAIN), failure).advice


def test_the_standard_library_of_each_python_is_known() -> None:
    assert "distutils" in standard.modules("3.11")
    assert "distutils" not in standard.modules("3.12")
    assert standard.told("json", "3.12") == standard.told("webby", "3.12") == ""
    assert (
        not set(sys.stdlib_module_names)
        - standard.modules(HERE.removeprefix("python"))
        - {name for name in sys.stdlib_module_names if name.startswith("_")}
    )


def test_what_the_runtime_has(world: World) -> None:
    world.source("import boto3\n" + HANDLER)
    advice = world.blames(world.project(PLAIN)).advice
    assert advice.startswith("Lambda's own runtime has 'boto3', and this place has it not")


def test_what_a_distribution_wants_for_an_extra(world: World) -> None:
    extra = "Provides-Extra: async\nRequires-Dist: asgiref>=3 ; extra == 'async'\n"
    world.source("import webby\n\ndef handler(event, context):\n    webby.run()\n")
    world.zip("web", wheel("webby", "1.0", {"webby.py": "def run():\n    import asgiref\n"}, extra))
    found = world.blames(world.project(PLAIN, ["web"]))
    assert (found.file, found.line, found.missing) == ("src/main.py", 4, "asgiref")
    assert found.advice == (
        "webby 1.0 of the layer 'web' brings asgiref with its extra 'async' alone: write webby[async] in "
        "layers.web.requirements, then layerkit lock && layerkit build"
    )


# -- the index


@pytest.mark.parametrize(
    ("code", "absent", "requirement"),
    [
        ("import yaml", "yaml", "PyYAML"),
        ("import PIL.Image", "PIL", "Pillow"),
        ("from PIL import Image", "PIL", "Pillow"),
        ("from google.protobuf import message", "google", "protobuf"),
        ("from google.cloud import storage", "google", "google-cloud-storage"),
        ("import azure.storage.blob", "azure", "azure-storage-blob"),
        ("import pkg_resources", "pkg_resources", "setuptools<81"),
        ("import cv2", "cv2", "opencv-python-headless"),
    ],
)  # fmt: skip
def test_a_known_name_of_a_distribution(code: str, absent: str, requirement: str, world: World) -> None:
    world.source(f"{code}\n" + HANDLER)
    world.zip("web", {"webby.py": ""})
    world.index = {requirement: "1.2.3"}
    found = world.blames(world.project(PLAIN, ["web"]))
    assert found.missing == absent
    assert found.advice == (
        f"'{absent}' is of {requirement}, of which the index has 1.2.3: "
        f"add {requirement} to layers.web.requirements, then layerkit lock && layerkit build"
    )


@pytest.mark.parametrize("package", ["google/cloud", "spread/of"])
def test_a_shared_package_that_a_layer_has_a_part_of(package: str, world: World) -> None:
    """It is no fault of the distribution that brings the other part."""
    module = package.replace("/", ".")
    world.source(f"from {module} import queue\nimport {module}.storage\n" + HANDLER)
    world.zip("web", wheel("part", "1.0", {f"{package}/queue.py": ""}))
    world.index = {"google-cloud-storage": "3.0", "spread": "2.0"}
    found = world.blames(world.project(PLAIN, ["web"]))
    assert found.missing == f"{module}.storage"
    assert "the index has" in found.advice
    assert "another version" not in found.advice


def test_time_zones(world: World) -> None:
    world.source("def handler(event, context):\n    import zoneinfo\n    zoneinfo.ZoneInfo('Moon/Base')\n")
    assert "add tzdata to the requirements of a layer" in world.blames(world.project(PLAIN)).advice


def test_time_zones_at_init(world: World) -> None:
    world.source("import zoneinfo\nBASE = zoneinfo.ZoneInfo('Moon/Base')\n" + HANDLER)
    world.index = {"tzdata": "2026.1"}
    found = world.blames(world.project(PLAIN))
    assert (found.file, found.line, found.missing) == ("src/main.py", 2, "tzdata")
    assert "'tzdata' is of tzdata, of which the index has 2026.1" in found.advice


def test_a_name_of_its_own_is_a_guess(world: World) -> None:
    world.source("import some_thing\n" + HANDLER)
    world.index = {"some-thing": "2.0"}
    assert world.blames(world.project(PLAIN)).advice == (
        "no layer of this project has 'some_thing'; the index has a distribution named some-thing 2.0: if it is the "
        "one you mean, add some-thing to the requirements of a layer in functions.hello.layers, then "
        "layerkit lock && layerkit build"
    )


def test_the_index_has_none(world: World) -> None:
    world.source("import azure.zyx\n" + HANDLER)
    advice = world.blames(world.project(PLAIN)).advice
    assert "and the index has no azure-zyx: check its spelling" in advice
    assert world.asked == ["azure-zyx"]


def test_no_answer_of_the_index_is_told(world: World) -> None:
    world.source("import yaml\n" + HANDLER)
    world.zip("web", {"webby.py": ""})
    world.index_error = IndexUnreachable("the package index did not answer", why="https://host.example/simple")
    advice = world.blames(world.project(PLAIN, ["web"])).advice
    assert "the index cannot be asked (the package index did not answer): add PyYAML to layers.web" in advice
    assert "host.example" not in advice


def test_a_requirement_goes_to_a_layer_that_has_some(world: World) -> None:
    world.source("import yaml\n" + HANDLER)
    world.write({"lib/shared.py": ""})
    world.zip("own", {"shared.py": ""})
    world.zip("web", {"webby.py": ""})
    world.index = {"PyYAML": "6"}
    advice = world.blames(world.project({"own": "source: lib", **PLAIN}, ["own", "web"])).advice
    assert "add PyYAML to layers.web.requirements" in advice


def test_the_index_is_asked_by_uv(world: World, index: Index) -> None:
    index.add(make_wheel("webby", "1.0"), make_wheel("webby", "1.10"))
    target = world.target()
    assert offered.newest("webby", target) == "1.10"
    assert offered.newest("webby<1.5", target) == "1.0"
    assert offered.newest("nothing-of-this-name", target) is None


@pytest.mark.integration
def test_the_real_index_has_what_is_known(world: World) -> None:
    newest, older = offered.newest("PyYAML", world.target()), offered.newest("setuptools<81", world.target())
    assert newest
    assert older
    assert Version(newest) >= Version("6.0")
    assert Version("80") <= Version(older) < Version("81")


def test_an_index_that_is_not_there_is_told(world: World) -> None:
    world.source("import some_thing\n" + HANDLER)
    project = world.project(PLAIN)
    found = blame(world.fails(project), world.runnable(project), project, world.folder / "dist")
    assert "the index cannot be asked" in found.advice


# -- names and shared libraries


def test_a_name_that_a_distribution_has_not(world: World) -> None:
    world.source("from webby import escape\n" + HANDLER)
    world.zip("web", wheel("webby", "3.0", {"webby/__init__.py": ""}))
    found = world.blames(world.project(PLAIN, ["web"]))
    assert (found.file, found.line, found.missing) == ("src/main.py", 1, "")
    assert found.advice == (
        "'webby' is of webby 3.0 (layer 'web'), which has no 'escape': require a version that has it, or change the "
        "import"
    )


def test_a_name_of_a_hidden_module(world: World) -> None:
    world.source("from webby import escape\n" + HANDLER, webby="")
    world.zip("web", wheel("webby", "3.0", {"webby/__init__.py": "escape = 1"}))
    advice = world.blames(world.project(PLAIN, ["web"])).advice
    assert advice == "src/webby.py hides 'webby' of the layer 'web': rename it"


def test_a_name_that_an_own_module_has_not(world: World) -> None:
    world.source("from helpers import half\n" + HANDLER, helpers="")
    assert world.blames(world.project(PLAIN)).advice == "src/helpers.py defines no 'half'"


def test_a_circle_of_imports(world: World) -> None:
    world.source("import one\n" + HANDLER, one="from two import b\na = 1\n", two="from one import a\nb = 1\n")
    found = world.blames(world.project(PLAIN))
    assert (found.file, found.line) == ("src/two.py", 1)
    assert found.advice.startswith("'one', src/one.py, is imported while it is still being imported itself")


def test_a_folder_without_init_has_no_names(world: World) -> None:
    world.source("from shared import half\n" + HANDLER)
    world.write({"src/shared/x.py": ""})
    assert "a folder without an __init__.py" in world.blames(world.project(PLAIN)).advice


def test_a_name_of_the_standard_library(world: World) -> None:
    world.source("from json import half\n" + HANDLER)
    advice = world.blames(world.project(PLAIN)).advice
    assert advice == f"'json' of Python {HERE.removeprefix('python')}, or of its runtime, has no 'half'"


def test_a_shared_library_for_another_machine_that_python_really_refuses(world: World) -> None:
    world.source("import _core\n" + HANDLER)
    world.zip("web", wheel("core", "1.0", {"_core.so": ELF + MACHINE["aarch64"] + b"\1" + bytes(43)}))
    found = world.blames(world.project(PLAIN, ["web"]))
    assert (found.file, found.line) == ("src/main.py", 1)
    assert found.advice == (
        "/opt/python/_core.so (core 1.0 of the layer 'web') is for aarch64, and the function runs on x86_64: "
        "layerkit verify web"
    )


def test_no_shared_library_at_all(world: World) -> None:
    world.source("import _core\n" + HANDLER)
    world.write({"src/_core.so": b"MZ, of Windows" * 9})
    advice = world.blames(world.project(PLAIN)).advice
    assert advice == f"src/_core.so cannot be loaded by {HERE} on x86_64: layerkit verify"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "libpq.so.5: cannot open shared object file: No such file or directory",
            "the shared library libpq.so.5 is neither in Lambda nor in lib/ of a layer",
        ),
        (
            "/lib64/libc.so.6: version `GLIBC_2.38' not found (required by /opt/python/_core.so)",
            "/opt/python/_core.so of the layer 'web' was built for a newer system: it wants GLIBC_2.38, "
            "and python3.12 has glibc 2.34: layerkit verify web",
        ),
        (
            "/opt/python/_core.so: undefined symbol: PyX",
            "/opt/python/_core.so of the layer 'web' cannot be loaded by",
        ),
    ],
)
def test_what_the_loader_says(message: str, words: str, world: World) -> None:
    """As glibc words them (elf/dl-load.c, dl-version.c, dl-lookup.c)."""
    world.runtime = "python3.12"
    world.source("import _core\n" + HANDLER)
    world.zip("web", {"_core.so": ELF + MACHINE["x86_64"]})
    text = f"Unable to import module 'main': {message}"
    failure = Failure(type="Runtime.ImportModuleError", message=text)
    assert words in world.blames(world.project(PLAIN, ["web"]), failure).advice


# -- the handler


def handled(world: World, files: Mapping[str, str], handler: str = "main.handler") -> str:
    world.handler = handler
    world.write({f"src/{path}": text for path, text in files.items()})
    return world.blames(world.project(PLAIN)).advice


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def handlr(event, context): ...", "src/main.py has no 'handler'; did you mean 'handlr'?"),
        ("def lambda_handler(event, context): ...", "did you mean 'lambda_handler'? Change functions.hello.handler"),
        ("def one(): ...\nasync def two(): ...", "src/main.py has no 'handler'; its functions are one, two: change"),
        (
            "app = object()",
            "src/main.py has no 'handler', it has 'app': if that is a WSGI app, add layerkit's handler",
        ),
        ("x = 1", "src/main.py defines no function: write def handler(event, context)"),
        ("if 1:\n    def hander(): ...", "did you mean 'hander'"),
    ],
)
def test_a_handler_that_the_module_has_not(text: str, words: str, world: World) -> None:
    assert words in handled(world, {"main.py": text})


def test_a_failure_without_a_frame_is_the_handlers(world: World) -> None:
    world.source("import os\n\ndef handler(event, context):\n    return {1}\n")
    project = world.project(PLAIN)
    found = world.blames(project)
    assert (found.file, found.line, found.code) == ("src/main.py", 3, "def handler(event, context):")
    absent = Failure(type="Runtime.HandlerNotFound", message="Handler 'x' missing on module 'main'")
    world.handler = "main.other"
    found = world.blames(world.project(PLAIN), absent)
    assert (found.file, found.line, found.code) == ("src/main.py", 0, "")


def test_an_app_is_served_by_the_shim_of_the_project(world: World) -> None:
    world.source("app = object()")
    world.zip("shim", {"lambda_wsgi/__init__.py": "", "wsgi_handler.py": ""})
    layers = {"shim": "requirements: [x]"}
    project = world.project(layers)
    failure = world.fails(project)
    assert world.blames(project, failure).advice.endswith(
        "if that is a WSGI app, add the layer 'shim' to functions.hello.layers, and set its handler to "
        "wsgi_handler.handler, which serves it"
    )
    advice = world.blames(world.project(layers, ["shim"]), failure).advice
    assert advice.endswith("it has 'app': set functions.hello.handler to wsgi_handler.handler, which serves it")


@pytest.mark.parametrize(
    ("files", "handler", "words"),
    [
        ({"app.py": HANDLER}, "main.handler", "there is no 'main' in src/; did you mean app.handler?"),
        ({"mian.py": "x = 1"}, "main.handler", "did you mean mian.handler?"),
        ({"api/main.py": "x = 1"}, "main.handler", "did you mean api.main.handler?"),
        (
            {"one.py": "", "two.py": ""},
            "main.handler",
            "there is no 'main' in src/; its modules are one, two: change",
        ),
        ({"page.html": ""}, "main.handler", "there is no Python file in src/: change functions.hello.source"),
        ({"main.py": HANDLER}, "api/main.handler", "there is no 'api.main' in src/; did you mean main.handler?"),
    ],
)
def test_a_handlers_module_that_is_not_there(
    files: Mapping[str, str], handler: str, words: str, world: World
) -> None:
    assert words in handled(world, files, handler)


def test_a_handlers_module_that_is_elsewhere_in_the_project(world: World) -> None:
    world.write({"lib/main.py": HANDLER})
    assert "there is no 'main' in src/, but lib/main.py: move it there" in handled(world, {"x.html": ""})


def test_a_handlers_module_that_a_layer_has(world: World) -> None:
    world.write({"src/routes.py": "app = 1"})
    world.zip("shim", {"main.py": "", "lambda_wsgi/__init__.py": ""})
    advice = world.blames(world.project({"shim": "requirements: [x]"})).advice
    assert advice == "the layer 'shim' has 'main': add it to functions.hello.layers"


def test_a_function_without_a_source(world: World) -> None:
    assert "functions.hello has no source, and no layer has 'main'" in world.blames(world.project(PLAIN)).advice


def test_a_module_that_the_handlers_module_imports_is_not_the_handlers(world: World) -> None:
    world.source("import main.routes\n" + HANDLER)
    found = world.blames(world.project(PLAIN))
    assert (found.file, found.line, found.missing) == ("src/main.py", 1, "main.routes")


@pytest.mark.parametrize(
    ("type_", "message", "words"),
    [
        ("Runtime.MalformedHandlerName", "Bad handler 'main': not enough values", "write module.function"),
        ("Runtime.BuiltInModuleConflict", "Cannot use built-in module", "a module of Python itself: rename"),
        ("Sandbox.Timedout", "Task timed out after 3.00 seconds", "functions.hello.timeout is 3 seconds: raise it"),
        ("", "2026-11-21 x Task timed out after 3.00 seconds", "functions.hello.timeout is 3 seconds: raise it"),
        (
            "Runtime.ExitError",
            "RequestId: x Error: Runtime exited with error: signal: killed",
            "functions.hello.memory is 128 MB: raise it (at most 10240)",
        ),
        ("Runtime.ExitError", "Runtime exited with error: signal: segmentation fault", "layerkit verify"),
        ("Runtime.ExitError", "Runtime exited with error: exit status 1", "the code ended its own process"),
        ("Function.ResponseSizeTooLarge", "x", "at most 6 MB"),
        ("ClientError", "The security token included in the request is invalid.", "the credentials here are made up"),
    ],
)  # fmt: skip
def test_what_lambda_tells(type_: str, message: str, words: str, world: World) -> None:
    world.source(HANDLER)
    assert words in world.blames(world.project(PLAIN), Failure(type=type_, message=message)).advice


def test_the_most_cannot_be_raised(world: World) -> None:
    world.source(HANDLER)
    world.function = ", timeout: 900, memory: 10240"
    project = world.project(PLAIN)
    timeout = world.blames(project, Failure(type="Sandbox.Timedout", message=""))
    memory = world.blames(project, Failure(type="Runtime.ExitError", message="signal: killed"))
    assert timeout.advice == "functions.hello.timeout is 900 seconds"
    assert memory.advice.endswith("functions.hello.memory is 10240 MB")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("{1}", "the handler returns a set that JSON does not know"),
        ("Response()", "the handler returns a web framework's Response, and Lambda takes JSON"),
        ("[].x", ""),
    ],
)
def test_an_answer_that_is_no_json(answer: str, words: str, world: World) -> None:
    world.source(f"class Response: ...\n\ndef handler(event, context):\n    return {answer}\n")
    assert words in world.blames(world.project(PLAIN)).advice


def test_a_variable_that_is_not_set(world: World) -> None:
    world.source("import os\nTABLE = os.environ['TABLE_OF_TESTS']\n" + HANDLER)
    found = world.blames(world.project(PLAIN))
    assert (found.file, found.line) == ("src/main.py", 2)
    assert found.advice == (
        "no variable TABLE_OF_TESTS is set: add it to functions.hello.environment, or --env TABLE_OF_TESTS=VALUE"
    )


def test_another_key_is_no_variable(world: World) -> None:
    world.source("def handler(event, context):\n    return event['TABLE']\n")
    assert world.blames(world.project(PLAIN)).advice == ""


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        ("OSError(30, 'Read-only file system', '/var/task/x.db')", "cannot be written in Lambda: only /tmp can"),
        ("PermissionError(13, 'Permission denied', '/var/task/x.db')", "only /tmp can be written"),
        ("PermissionError(13, 'Permission denied', '/opt/python/shut.txt')", "of the layer 'web' is not readable by"),
        ("FileNotFoundError(2, 'No such file', '/home/sbx_user1051/.cache')", "there is no home folder in Lambda"),
        ("PermissionError(13, 'Permission denied', '/tmp/x')", ""),
    ],
)
def test_files_that_lambda_keeps_shut(raised: str, words: str, world: World) -> None:
    world.source(f"def handler(event, context):\n    raise {raised}\n")
    world.zip("web", {"shut.txt": ""}, {"shut.txt": 0o600})
    found = world.blames(world.project(PLAIN, ["web"]))
    assert (found.file, found.line) == ("src/main.py", 2)
    assert words in found.advice
    assert bool(words) == bool(found.advice)


# -- chains of exceptions


def test_the_last_of_several_imports_is_the_missing_one(world: World) -> None:
    world.source("try:\n    import webby1\nexcept ImportError:\n    import webby2\n" + HANDLER)
    found = world.blames(world.project(PLAIN))
    assert (found.line, found.missing) == (4, "webby2")


def test_an_import_that_is_told_in_other_words(world: World) -> None:
    code = "try:\n    import webby1\nexcept ImportError as error:\n    raise ImportError('install it') from error\n"
    world.source(code + HANDLER)
    found = world.blames(world.project(PLAIN))
    assert (found.line, found.missing) == (4, "webby1")


def test_a_long_text_around_the_first_cause(world: World) -> None:
    """As numpy words it."""
    code = (
        "try:\n    import core._umath\nexcept ImportError as error:\n"
        "    raise ImportError(f'\\n\\nIMPORTANT: READ THIS\\n\\nOriginal error was: {error}\\n') from error\n"
    )
    world.source("import core\n" + HANDLER)
    world.zip("web", {"core/__init__.py": code, "core/_umath.cpython-39-x86_64-linux-gnu.so": ELF})
    found = world.blames(world.project(PLAIN, ["web"]))
    assert (found.file, found.line, found.missing) == ("src/main.py", 1, "core._umath")
    assert "does not load" in found.advice


TRACE = """\
Traceback (most recent call last):
  File "/var/task/main.py", line 1, in <module>
    {code}
    ^^^^^^^^
ModuleNotFoundError: No module named '{module}'
"""


def import_error(module: str) -> Failure:
    return Failure(
        type="Runtime.ImportModuleError",
        message=f"Unable to import module 'main': No module named '{module}'",
        cause=tuple(TRACE.format(code=f"import {module}", module=module).splitlines()),
    )


def test_a_traceback_is_read_as_python_words_it() -> None:
    import traceback

    try:
        try:
            raise ValueError("one\ntwo")
        except ValueError as error:
            raise ExceptionGroup("many", [error, KeyError("x")]) from error
    except ExceptionGroup as error:
        lines = traceback.format_exception(error)
    first, second = trace.chain(lines)
    assert (first.type, first.message) == ("ValueError", "one\ntwo")
    assert [Path(frame.path).name for frame in second.frames][:1] == ["test_blame.py"]
    assert first.frames[-1].code == 'raise ValueError("one\\ntwo")'


def test_frames_without_code_and_with_marks() -> None:
    lines = ['  File "a.py", line 1, in f', '  File "b.py", line 2', "    x = 1 +", "        ^^^"]
    assert trace.frames(lines) == (Frame(path="a.py", line=1), Frame(path="b.py", line=2, code="x = 1 +"))


# -- whatever is said


WORDS = [
    "No module named '",
    "main",
    "'",
    " ",
    "\n",
    "/opt/",
    "..",
    "ImportError",
    "ModuleNotFoundError: ",
    "No module named 'webby.x'",
    "cannot import name 'x' from 'y' (/opt/python/webby.py)",
    "invalid ELF header",
    "[Errno 13] Permission denied: '/opt/python/webby.py'",
    '  File "/var/task/main.py", line 1, in x',
    '  File "/opt/x", line 99999',
]
TEXT = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=6).map("".join)
TYPES = [
    "Runtime.ImportModuleError",
    "Runtime.HandlerNotFound",
    "Runtime.UserCodeSyntaxError",
    "Runtime.MarshalError",
    "ImportError",
    "SyntaxError",
    "KeyError",
    "OSError",
]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(folder=tmp_path_factory.mktemp("wide"))
    made.source(HANDLER, helpers="def half(:")
    made.zip("web", wheel("webby", "1.0", {"webby.py": "x = 1\n"}))
    made.write({"dist/bad.zip": b"PK\3\4" + bytes(99)})
    return made


@given(st.sampled_from(TYPES) | TEXT, TEXT, st.lists(TEXT, max_size=3), st.lists(TEXT, max_size=5))
def test_nothing_is_raised_whatever_is_said(
    wide: World, type_: str, message: str, frames: Sequence[str], cause: Sequence[str]
) -> None:
    project = wide.project({**PLAIN, "bad": "requirements: [b]"}, ["web", "bad"])
    failure = Failure(type=type_, message=message, trace=tuple(frames), cause=tuple(cause))
    found = blame(failure, wide.runnable(project), project, wide.folder / "dist", index=lambda _: None)
    assert "\n" not in found.advice
