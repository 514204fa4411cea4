"""The documentation says what is true: its files load, its commands run, its output is the program's."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

SHIM = ROOT / "layers/lambda-wsgi"
sys.path.insert(0, str(SHIM))

from lambda_wsgi import PARSERS
from layerkit import config
from layerkit.cli import cli
from layerkit.model import Interpreter

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("docs/*.md")])


def blocks(kind: str) -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        texts = re.findall(
            rf"^```{kind}\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
        )
        found += [(page.name, text) for text in texts]
    return found


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_every_layers_yaml_in_the_docs_loads(page: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "layers.yaml").write_text(text)
    assert config.load(tmp_path / "layers.yaml").layers


COMMANDS = [
    (page, line[2:].partition("#")[0].strip())
    for page, text in blocks("console")
    for line in text.splitlines()
    if line.startswith("$ ")
]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_every_command_in_the_docs_exists(page: str, line: str) -> None:
    for command in line.split("&&"):
        program, *arguments = shlex.split(command)
        if program == "layerkit":
            context = cli.make_context("layerkit", [arguments[0], "--help"], resilient_parsing=True)
            subcommand = cli.get_command(context, arguments[0])
            assert subcommand
            subcommand.make_context(arguments[0], arguments[1:])
        elif not program.startswith(".venv/"):
            assert os.access(ROOT / program, os.X_OK), program


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.integration
def test_the_readmes_output_is_the_programs(tmp_path: Path, python312: Interpreter) -> None:
    """Up to numbers, which differ between machines and with each release of a distribution."""

    def masked(text: str) -> list[str]:
        lines = [re.sub(r"\s+", " ", re.sub(r"[\d.]+", "N", line)) for line in text.splitlines()]
        return [line for line in lines if "built" in line]

    for name in ("layers.yaml", "layers.lock"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("layers", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name)
    command = [sys.executable, "-m", "layerkit", "build"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    (shown,) = [text for page, text in blocks("console") if page == "README.md" and "flask-layer.zip" in text]
    assert masked(done.stderr) == masked(shown)


HANDLERS = {  # file of an example -> the function's handler
    "routes.py": "main.handler",
    "lambda_function.py": "lambda_function.lambda_handler",
    "hello.py": "hello.app",
    "wsgi.py": "wsgi.application",
}
INVOKE = """
import importlib, json, sys
module, name = sys.argv[1].split(".")
handler = getattr(importlib.import_module(module), name)
http = {"method": "GET", "sourceIp": "203.0.113.7", "protocol": "HTTP/1.1"}
event = {"version": "2.0", "rawPath": "/", "headers": {"host": "x"}, "requestContext": {"http": http}}
answer = handler(event, None)
assert answer["statusCode"] == 200, answer
assert json.loads(answer["body"]) == {"message": "hello"}
"""


def test_the_shims_examples_answer(tmp_path: Path) -> None:
    examples = [(page, text.removeprefix("# ").partition(".py")[0] + ".py", text) for page, text in blocks("python")]
    assert {file for _, file, _ in examples} == set(HANDLERS)
    for page, file, text in examples:
        handler = HANDLERS[file]
        folder = tmp_path / page / file
        folder.mkdir(parents=True)
        (folder / file).write_text(text)
        env = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{SHIM}", "LAMBDA_TASK_ROOT": str(folder)}
        command = [sys.executable, "-B", "-W", "error", "-c", INVOKE, handler]
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_shims_page_names_what_the_shim_reads() -> None:
    names = r"LAMBDA_WSGI_[A-Z_]+[A-Z]|API_GATEWAY_BASE_PATH|AWS_LWA_REMOVE_BASE_PATH|STRIP_STAGE_PATH"
    page = set(re.findall(names, (ROOT / "docs/lambda-wsgi.md").read_text()))
    source = "".join(path.read_text() for path in SHIM.rglob("*.py"))
    settings = {f"LAMBDA_WSGI_{name.upper()}" for name in PARSERS}
    assert page == settings | set(re.findall(names, source))
