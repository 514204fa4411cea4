"""`layerkit init --example`: whole projects, from this repository and from an installed wheel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT
from layerkit import __version__, config, examples, starter, uv
from layerkit.errors import MachineError
from test_cli import layerkit
from wheelhouse import Index, make_wheel

YAML = """\
version: 1
layers:
  own: {source: layers/lambda-wsgi}
functions:
  second-hand: {source: src, handler: main.handler, layers: [own]}
  another: {source: src, handler: main.handler, layers: []}
"""
FILES = {
    "README.md": b"# hello\n", "layers.yaml": YAML.encode(), "src/main.py": b"x = 1\n",
    "terraform/main.tf": "# é\n".encode(),
}  # fmt: skip
SHIM = {"lambda_wsgi/__init__.py": b"y = 2\n", "main.py": b"z = 3\n"}


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def found(folder: Path) -> dict[str, bytes]:
    """Each file below a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of layerkit with an example `hello`, in which much was left by trying it."""
    home = tmp_path / "site-packages/layerkit/data"
    junk = {"src/__pycache__/main.cpython-312.pyc": b"", "dist/own.zip": b"", "terraform/.terraform/x/y": b""}
    write(home / "examples/hello", FILES | junk | {"node_modules/a/b.js": b""})
    write(home / "layers/lambda-wsgi", SHIM | {"lambda_wsgi/__pycache__/a.pyc": b""})
    monkeypatch.setattr(examples, "__file__", str(home.parent / "examples.py"))
    return home


WHOLE = FILES | {f"layers/lambda-wsgi/{name}": content for name, content in SHIM.items()}


def test_an_example_is_copied_with_the_shim_and_without_what_trying_it_left(home: Path, tmp_path: Path) -> None:
    started = starter.write(tmp_path / "new", example="hello")
    assert found(tmp_path / "new") == WHOLE
    assert sorted(started.files) == sorted(tmp_path / "new" / name for name in WHOLE)


def test_the_order_of_the_files_is_that_of_their_paths(home: Path) -> None:
    names = list(examples.read("hello").files)
    assert names[:3] == ["README.md", "layers.yaml", "src/main.py"]
    assert names == list(examples.read("hello").files)


@pytest.mark.parametrize(
    "text", [YAML.replace("layers/lambda-wsgi", "layers/own"), YAML.replace("source: l", "x: l")]
)
def test_without_a_layer_of_the_shim_it_stays_away(home: Path, tmp_path: Path, text: str) -> None:
    (home / "examples/hello/layers.yaml").write_text(text)
    starter.write(tmp_path / "new", example="hello")
    assert found(tmp_path / "new") == FILES | {"layers.yaml": text.encode()}


def test_what_comes_next(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = ("layerkit lock", "layerkit build", "layerkit serve second-hand --watch")
    monkeypatch.chdir(tmp_path)
    assert starter.write(Path("a b"), example="hello").following == ("cd 'a b'", *steps)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert starter.write(Path(), example="hello").following == steps
    assert starter.write(Path("new")).following == ("cd new", *steps[:2])


def test_an_installation_without_the_examples(home: Path, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="came without the example two-doors") as caught:
        starter.write(tmp_path / "new", example="two-doors")
    assert caught.value.where == str(home / "examples")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("there", ["README.md", "layers/lambda-wsgi/main.py", "src", "terraform/main.tf/"])
def test_all_or_nothing(tmp_path: Path, there: str) -> None:
    """What is in the way is a file, also where a folder is to be, and a folder where a file is to be."""
    folder = tmp_path / "flask-lambda"
    if there.endswith("/"):
        (folder / there).mkdir(parents=True)
    elif there == "src":
        there = "src_flask"
        write(folder, {there: b"mine"})
    else:
        write(folder, {there: b"mine"})
    before = found(folder)
    done = layerkit("init", "--example", "flask-lambda", str(folder))
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: {folder / there}: is there already and stays as it is\n")
    assert found(folder) == before


def test_a_link_that_leads_nowhere_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "README.md").symlink_to(tmp_path / "nowhere")
    done = layerkit("init", "--example", "flask-lambda", str(tmp_path))
    assert done.returncode == 3
    assert "README.md: is there already" in done.stderr
    assert not (tmp_path / "layers.yaml").exists()


def test_other_files_in_the_folder_stay(home: Path, tmp_path: Path) -> None:
    write(tmp_path / "mine", {"src/other.py": b"mine", ".git/config": b"mine"})
    starter.write(tmp_path / "mine", example="hello")
    assert found(tmp_path / "mine") == WHOLE | {"src/other.py": b"mine", ".git/config": b"mine"}


# The command


def test_the_folder_is_called_as_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = layerkit("init", "--example", "two-doors")
    files = found(tmp_path / "two-doors")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        f"two-doors: {len(files)} files are written; next: cd two-doors && layerkit lock && layerkit build"
        " && layerkit serve two-doors-plain --watch\n"
    )
    assert files["src/lambda_door.py"] == (ROOT / "examples/two-doors/src/lambda_door.py").read_bytes()
    assert files["layers/lambda-wsgi/main.py"] == (ROOT / "layers/lambda-wsgi/main.py").read_bytes()


def test_json(tmp_path: Path) -> None:
    done = layerkit("init", "--example", "two-doors", str(tmp_path / "new"), "--json")
    said = json.loads(done.stdout)
    assert sorted(said["files"]) == sorted(str(tmp_path / "new" / name) for name in found(tmp_path / "new"))
    assert said["file"] in said["files"]


def test_an_example_with_the_jobs_that_publish_it(index: Index, tmp_path: Path) -> None:
    index.add(make_wheel("layerkit", __version__))
    done = layerkit("init", "--example", "two-doors", "--github", "--gitlab", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("files are written; what to set up there: docs/ci.md\n")
    files = found(tmp_path / "new")
    assert {".github/workflows/publish.yml", ".gitlab/layerkit.yml", "src/functions.py"} <= files.keys()
    assert files["layers.yaml"] == (ROOT / "examples/two-doors/layers.yaml").read_bytes()


def test_jobs_that_cannot_be_written_keep_the_example_away(index: Index, tmp_path: Path) -> None:
    assert layerkit("init", "--example", "two-doors", "--github", str(tmp_path / "new")).returncode == 5
    assert not (tmp_path / "new").exists()


def test_help_and_mistakes_name_all_examples() -> None:
    words = f"[{'|'.join(examples.NAMES)}]"
    assert words in layerkit("init", "--help").stdout
    done = layerkit("init", "--example", "three-doors")
    assert done.returncode == 2
    assert "'three-doors' is not one of" in done.stderr


@pytest.mark.parametrize("name", examples.NAMES)
def test_each_example_is_a_project(name: str, tmp_path: Path) -> None:
    """Its layers.yaml is good, every function's source is there, and its README is short and names the next steps."""
    starter.write(tmp_path, example=name)
    declared = config.load(tmp_path / "layers.yaml")
    assert declared.warnings == ()
    targets = {target for layer in declared.layers.values() for target in layer.targets}
    assert [(target.runtime, target.architecture) for target in targets] == [("python3.12", "arm64")]
    for function in declared.functions.values():
        assert function.source
        module = function.handler.rpartition(".")[0]
        own = (function.source / f"{module}.py").is_file()
        assert own or (module in ("main", "wsgi_handler", "lambda_wsgi") and "lambda-wsgi" in function.layers)
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert readme.startswith(f"# {name}\n")
    for command in ("layerkit lock", "layerkit build", "layerkit serve"):
        assert f"$ {command}" in readme


def test_every_example_of_the_repository_can_be_had() -> None:
    assert sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir()) == sorted(examples.NAMES)


# Installed


def command(*words: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(words, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the wheel and the source distribution are built from, with what trying an example leaves."""
    folder = tmp_path_factory.mktemp("checkout") / "layerkit"
    for name in ("toolkit", "examples", "layers"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "Dockerfile.arm64", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    junk = ("dist/a.zip", "src/__pycache__/a.pyc", "node_modules/a/b.js", "terraform/.terraform/a/b")
    write(folder / "examples/hello", dict.fromkeys(junk, b"junk"))
    return folder


@pytest.fixture(scope="module", params=["wheel", "sdist", "editable"])
def installed(
    request: pytest.FixtureRequest, checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A Python that has layerkit and, for the rest, this environment's packages."""
    work = tmp_path_factory.mktemp(request.param)
    what: list[str | Path] = ["--editable", checkout]
    if request.param != "editable":
        built = ["--wheel"] if request.param == "wheel" else []  # without: a wheel from the source distribution
        command(uv.find(), "build", "--quiet", *built, "--out-dir", work / "out", checkout, cwd=work)
        what = list((work / "out").glob("*.whl"))
    command(uv.find(), "venv", "--quiet", "--python", sys.executable, work / "venv", cwd=work)
    python = work / "venv/bin/python"
    command(uv.find(), "pip", "install", "--quiet", "--no-deps", "--python", python, *what, cwd=work)
    command(uv.find(), "pip", "install", "--quiet", "--python", python, "click", "pyyaml", cwd=work)
    yield python
    shutil.rmtree(work)


@pytest.mark.integration
@pytest.mark.parametrize("name", examples.NAMES)
def test_an_installed_layerkit_has_the_examples(installed: Path, tmp_path: Path, name: str) -> None:
    """Isolated from this environment; compiled, as pip leaves packages."""
    command(installed, "-m", "compileall", "-q", installed.parents[1] / "lib", cwd=tmp_path)
    said = command(installed, "-I", "-m", "layerkit", "init", "--example", name, "--json", cwd=tmp_path)
    expected = examples.read(name).files
    assert len(json.loads(said)["files"]) == len(expected)
    assert found(tmp_path / name) == expected
