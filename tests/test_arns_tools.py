"""Each form of `layerkit arns` in the tool it is for, and docs/arns.md as it is written.

Tools from PyPI and npm are installed once, below LAYERKIT_TEST_CACHE or the user's cache folder.  Terraform is the
machine's; its AWS provider is in LAYERKIT_TERRAFORM_PLUGINS or where Terraform looks for local copies itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import platformdirs
import pytest
import yaml

from conftest import ROOT, absent
from layerkit import uv
from layerkit.arns import FORMS
from layerkit.publish.published import Entry
from test_published import entry, write

pytestmark = pytest.mark.integration
SAM = ("aws-sam-cli==1.170.0",)
LINTERS = ("cfn-lint==1.58.0", "check-jsonschema==0.39.0", "python-hcl2==8.1.4")
NODE_TOOLS = ("aws-cdk-lib@2.276.0", "constructs@10.8.1", "osls@4.3.1")
PAGE = (ROOT / "docs/arns.md").read_text(encoding="utf-8")

FLASK, WSGI = entry(), entry("serverless-wsgi", version=2)
DOCUMENTED = [FLASK, WSGI, entry(region="eu-west-1", version=3), entry("serverless-wsgi", "eu-west-1", 7)]
ODD = [  # what a name can do to a language, two targets, another partition
    *(entry(layer) for layer in ("no", "1e3", "0x1f", "7zip", "under_score", "Null")),
    *(entry(), entry(architectures=["x86_64"], name="flask-x86")),
    *(entry(region="cn-north-1", partition="aws-cn"), entry(region="us-gov-west-1", partition="aws-us-gov")),
]
MEANT = json.loads(FORMS["json"](ODD))


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def kept(name: str, wanted: Sequence[str], make: Callable[[Path], object]) -> Path:
    """A folder of tools that is made once; two test runs take turns, and a half-made one is made again."""
    base = Path(os.environ.get("LAYERKIT_TEST_CACHE") or platformdirs.user_cache_dir("layerkit-tests"))
    base.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256("\n".join([sys.base_prefix, sys.version, *wanted]).encode()).hexdigest()[:12]
    folder = base / f"{name}-{digest}"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "whole").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / "whole").touch()
    return folder


def python(name: str, wanted: Sequence[str]) -> Path:
    """bin/ of an environment with tools from PyPI."""

    def make(folder: Path) -> None:
        run(uv.find(), "venv", "--quiet", "--allow-existing", "--python", sys.executable, folder, cwd=folder)
        run(uv.find(), "pip", "install", "--quiet", "--python", folder / "bin/python", *wanted, cwd=folder)

    return kept(name, wanted, make) / "bin"


@pytest.fixture(scope="module")
def sam() -> Path:
    return python("sam", SAM)


@pytest.fixture(scope="module")
def linters() -> Path:
    return python("linters", LINTERS)


@pytest.fixture(scope="module")
def node() -> Path:
    """node_modules with the tools from npm."""
    if not shutil.which("node") or not shutil.which("npm"):
        absent("node", "no Node.js on this machine")

    def make(folder: Path) -> None:
        (folder / "package.json").write_text("{}")
        options = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
        run("npm", "install", *options, *NODE_TOOLS, cwd=folder)

    return kept("node", NODE_TOOLS, make) / "node_modules"


def terraform(*arguments: str, cwd: Path, said: str = "") -> str:
    if not shutil.which("terraform"):
        absent("terraform", "no Terraform on this machine")
    env = os.environ | {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
    done = subprocess.run(
        ["terraform", *arguments], cwd=cwd, env=env, input=said, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def valued(expression: str, cwd: Path) -> Any:
    """What Terraform's console makes of an expression."""
    return json.loads(json.loads(terraform("console", "-no-color", cwd=cwd, said=f"jsonencode({expression})\n")))


@pytest.fixture(scope="module")
def plugins() -> Path:
    """The folder with Terraform's AWS provider.

    https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
    """
    given = os.environ.get("LAYERKIT_TERRAFORM_PLUGINS")
    usual = [
        Path.home() / ".terraform.d",
        Path(platformdirs.user_data_dir("terraform")),
        Path("/usr/local/share/terraform"),
    ]
    folders = [Path(given)] if given else [folder / "plugins" for folder in (*usual, Path("/usr/share/terraform"))]
    for folder in folders:
        if next(folder.glob("registry.terraform.io/hashicorp/aws/*"), None):
            return folder
    absent("terraform-aws", f"no AWS provider in {' '.join(map(str, folders))}; set LAYERKIT_TERRAFORM_PLUGINS")
    raise AssertionError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project after `layerkit publish`; `layerkit` and an `aws` that only tells its words are commands."""
    folder = tmp_path / "project"
    write(folder / "dist", *DOCUMENTED)
    shutil.copytree(ROOT / "examples", folder / "examples")
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, line in (("layerkit", f"exec '{sys.executable}' -m layerkit"), ("aws", "printf '%s\\n'")):
        (commands / name).write_text(f'#!/bin/sh\n{line} "$@"\n')
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    return folder


def documented(kind: str, start: str = "") -> str:
    """The one block of this kind on the page that begins so."""
    blocks = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    [found] = [text for text in blocks if text.startswith(start)]
    return str(found)


def follow(form: str, project: Path) -> None:
    """Run the page's command that writes this form to a file."""
    [line] = re.findall(rf"^\$ (layerkit arns .*--format {form} > \S+)$", PAGE, flags=re.MULTILINE)
    run("bash", "-euc", line, cwd=project)


def copied(kind: str, mark: str, file: str, project: Path) -> None:
    (project / file).parent.mkdir(parents=True, exist_ok=True)
    (project / file).write_text(documented(kind, f"{mark} {file}\n"))


def arns(region: str) -> dict[str, str]:
    return {one.layer: one.arn for one in DOCUMENTED if one.region == region}


def test_json_is_as_the_page_shows_it(project: Path) -> None:
    assert run("layerkit", "arns", "--format", "json", cwd=project) == documented("json")


# Shell and containers


def container_environment(text: str) -> dict[str, str]:
    """As docker reads an env-file: https://github.com/docker/cli/blob/master/pkg/kvfile/kvfile.go .

    Lines with # and empty ones are left out; white space before a line is no part of it, what follows the first =
    is the value as it stands, but for a pair of quotes; a name has no white space.
    """
    found = {}
    for line in filter(None, map(str.lstrip, text.splitlines())):
        if line[0] != "#":
            name, equals, value = line.partition("=")
            assert name
            assert equals
            assert not re.search(r"\s", name)
            found[name] = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
    return found


def test_an_environment_in_a_shell(project: Path) -> None:
    follow("env", project)
    wanted = [FLASK.arn, WSGI.arn]
    said = run("bash", "-euc", documented("sh"), cwd=project).splitlines()
    command = ["lambda", "update-function-configuration", "--function-name", "hello", "--layers", *wanted]
    assert said == command * 2
    read = container_environment((project / "layers.env").read_text())
    assert read == {
        "FLASK_LAYER_ARN": FLASK.arn, "SERVERLESS_WSGI_LAYER_ARN": WSGI.arn, "LAYER_ARNS": ",".join(wanted),
    }  # fmt: skip


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_an_environment_with_odd_names(tmp_path: Path, shell: str) -> None:
    here = [one for one in ODD if one.region == "us-east-1"]
    (tmp_path / "odd.env").write_text(FORMS["env"](here))
    expected = container_environment((tmp_path / "odd.env").read_text())
    assert sorted(expected.values()) == sorted(MEANT["us-east-1"].values())
    said = run("env", "-i", shell, "-euc", "set -a; . ./odd.env; /usr/bin/env", cwd=tmp_path)
    read = dict(line.split("=", 1) for line in said.splitlines())
    assert {name: read[name] for name in expected} == expected


# Terraform


def test_terraform_reads_its_file_back(tmp_path: Path) -> None:
    (tmp_path / "layer_arns.tf").write_text(FORMS["terraform"](ODD))
    assert terraform("fmt", "-check", "-diff", cwd=tmp_path) == ""
    assert valued("local.layer_arns", tmp_path) == MEANT
    assert valued('local.layer_arns["us-east-1"]["7zip"]', tmp_path) == entry("7zip").arn


def test_terraform_reads_its_variables_back(project: Path) -> None:
    follow("tfvars", project)
    copied("hcl", "#", "variables.tf", project)
    assert terraform("fmt", "-check", "-diff", cwd=project) == ""
    terraform("init", cwd=project)
    assert valued("var.layer_arns", project) == {region: arns(region) for region in ("eu-west-1", "us-east-1")}
    terraform("apply", "-auto-approve", cwd=project)  # there is nothing but an output
    assert json.loads(terraform("output", "-json", cwd=project))["flask"]["value"] == FLASK.arn


def test_terraform_reads_odd_names_in_its_variables(tmp_path: Path) -> None:
    (tmp_path / "layer_arns.auto.tfvars").write_text(FORMS["tfvars"](ODD))
    (tmp_path / "variables.tf").write_text('variable "layer_arns" {\n  type = map(map(string))\n}\n')
    assert terraform("fmt", "-check", "-diff", cwd=tmp_path) == ""
    assert valued("var.layer_arns", tmp_path) == MEANT


PROVIDER = """\
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
provider "aws" {
  region                      = var.region
  access_key                  = "testing"
  secret_key                  = "testing"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}
"""


def test_a_function_in_terraform_gets_the_layers(project: Path, plugins: Path) -> None:
    """Planned, which asks AWS nothing."""
    follow("terraform", project)
    copied("hcl", "#", "main.tf", project)
    assert terraform("fmt", "-check", "-diff", cwd=project) == ""
    (project / "provider.tf").write_text(PROVIDER)
    terraform("init", f"-plugin-dir={plugins}", cwd=project)
    assert json.loads(terraform("validate", "-json", cwd=project))["diagnostics"] == []
    terraform("plan", "-out=plan", "-var=region=eu-west-1", cwd=project)
    planned = json.loads(terraform("show", "-json", "plan", cwd=project))["planned_values"]["root_module"]
    assert [one["values"]["layers"] for one in planned["resources"]] == [list(arns("eu-west-1").values())]


@pytest.mark.parametrize("form", ["terraform", "tfvars"])
def test_another_reader_of_hcl_agrees(tmp_path: Path, linters: Path, form: str) -> None:
    """So that there is a check where there is no Terraform."""
    (tmp_path / "layer_arns.tf").write_text(FORMS[form](ODD))
    read = json.loads(run(linters / "hcl2tojson", "layer_arns.tf", cwd=tmp_path))
    [values] = read["locals"] if form == "terraform" else [read]

    def plain(value: Any) -> Any:
        """python-hcl2 8 keeps a text's quotes."""
        if isinstance(value, dict):
            return {plain(name): plain(one) for name, one in value.items()}
        return value.strip('"')

    assert plain(values["layer_arns"]) == MEANT


# SAM and CloudFormation

LAYERS = """
import json, sys
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
stacks, _ = SamLocalStackProvider.get_stacks("template.yaml", parameter_overrides={"AWS::Region": sys.argv[1]})
print(json.dumps({one.name: [layer.arn for layer in one.layers] for one in SamFunctionProvider(stacks).get_all()}))
"""


def linted(sam: Path, linters: Path, project: Path, region: str) -> None:
    run(linters / "cfn-lint", "--regions", region, "--", "template.yaml", cwd=project)
    told = run(sam / "sam", "validate", "--lint", "--region", region, cwd=project, SAM_CLI_TELEMETRY="0")
    assert "is a valid SAM Template" in told


def resolved(sam: Path, project: Path, region: str) -> Any:
    """The layers of each function, as SAM's own resolver finds them for `sam local`."""
    return json.loads(run(sam / "python", "-c", LAYERS, region, cwd=project, SAM_CLI_TELEMETRY="0"))


def test_a_function_in_sam_gets_the_layers(project: Path, sam: Path, linters: Path) -> None:
    follow("sam", project)
    copied("yml", "#", "hello.yml", project)
    [line] = re.findall(r"`(cat hello.yml .*?)`", PAGE)
    run("bash", "-euc", line, cwd=project)
    linted(sam, linters, project, "eu-west-1")
    assert resolved(sam, project, "eu-west-1") == {"Hello": list(arns("eu-west-1").values())}


def test_sam_reads_odd_names_and_other_partitions(tmp_path: Path, sam: Path, linters: Path) -> None:
    text = FORMS["sam"](ODD)
    mapping = yaml.safe_load(text)["Mappings"]["LayerArns"]
    functions = {
        f"Function{at}": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "InlineCode": "def handler(event, context): pass", "Handler": "index.handler",
                "Runtime": "python3.12",
                "Layers": [{"Fn::FindInMap": ["LayerArns", {"Ref": "AWS::Region"}, name]}],
            },
        }
        for at, name in enumerate(mapping["us-east-1"])
    }  # fmt: skip
    head = {"Transform": "AWS::Serverless-2016-10-31", "Resources": functions}
    (tmp_path / "template.yaml").write_text(yaml.safe_dump(head) + text)
    linted(sam, linters, tmp_path, "us-east-1")
    found = resolved(sam, tmp_path, "us-east-1")
    assert [layer for name in functions for layer in found[name]] == list(MEANT["us-east-1"].values())
    [function] = [name for name, arn in zip(functions, MEANT["us-east-1"].values(), strict=True) if arn == FLASK.arn]
    (tmp_path / "template.yaml").write_text(yaml.safe_dump(head | {"Resources": {"A": functions[function]}}) + text)
    assert resolved(sam, tmp_path, "cn-north-1") == {"A": list(MEANT["cn-north-1"].values())}


# CDK


def test_a_function_in_the_cdk_gets_the_layers(project: Path, node: Path, linters: Path) -> None:
    follow("cdk", project)
    copied("js", "//", "app.js", project)
    run("node", "app.js", cwd=project, NODE_PATH=str(node), CDK_OUTDIR="out")
    rendered = json.loads((project / "out/Hello.template.json").read_text())["Resources"].values()
    [function] = [one for one in rendered if one["Type"] == "AWS::Lambda::Function"]
    assert function["Properties"]["Layers"] == list(arns("us-east-1").values())
    lint = ("--regions", "us-east-1", "--ignore-checks", "W3005")  # the CDK says twice what depends on what
    run(linters / "cfn-lint", *lint, "--", "out/Hello.template.json", cwd=project)


# Serverless


def osls(node: Path, project: Path, *arguments: str) -> str:
    told = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "SLS_TELEMETRY_DISABLED": "1"}
    return run("node", node / "osls/bin/serverless.js", *arguments, cwd=project, **told)


def test_a_function_in_serverless_gets_the_layers(project: Path, node: Path) -> None:
    follow("serverless", project)
    copied("yml", "#", "serverless.yml", project)
    osls(node, project, "package")
    rendered = json.loads((project / ".serverless/cloudformation-template-update-stack.json").read_text())
    [function] = [one for one in rendered["Resources"].values() if one["Type"] == "AWS::Lambda::Function"]
    assert function["Properties"]["Layers"] == list(arns("us-east-1").values())


def test_serverless_reads_odd_names(tmp_path: Path, node: Path) -> None:
    (tmp_path / "layer-arns.yml").write_text(FORMS["serverless"](ODD))
    each = {name: f"${{file(layer-arns.yml):us-east-1.{name}}}" for name in MEANT["us-east-1"]}
    service = {
        "service": "hello", "provider": {"name": "aws"}, "custom": {"all": "${file(layer-arns.yml)}", "each": each},
    }  # fmt: skip
    (tmp_path / "serverless.yml").write_text(json.dumps(service))  # PyYAML would not quote 1e3
    read = json.loads(osls(node, tmp_path, "print", "--path", "custom", "--format", "json"))
    assert read == {"all": MEANT, "each": MEANT["us-east-1"]}


# GitHub Actions


def outputs(file: Path) -> dict[str, str]:
    """As the runner reads $GITHUB_OUTPUT.

    https://github.com/actions/runner/blob/main/src/Runner.Worker/FileCommandManager.cs : empty lines are nothing; a
    line whose first `=` stands before any `<<` is name=value, as it is; `name<<END` begins lines up to END, which is
    not written here; anything else fails the step.  Names are not case-sensitive.
    """
    found: dict[str, str] = {}
    for line in filter(None, file.read_text(encoding="utf-8").split("\n")):
        assert line.find("=") > 0
        assert "<<" not in line.partition("=")[0]
        name, _, value = line.partition("=")
        assert name.lower() not in {one.lower() for one in found}
        found[name] = value
    return found


def evaluated(text: str, known: dict[str, Any]) -> Any:
    """An expression of a workflow that is a path into `known`, or into the fromJSON of one."""
    match = re.fullmatch(r"\$\{\{ (?:fromJSON\(([^)]*)\)|([^ (]*))(?:\.(\S+))? \}\}", text)
    assert match, text

    def step(value: Any, path: str) -> Any:
        for name in filter(None, path.split(".")):
            value = value[name]
        return value

    if match[1]:
        return step(json.loads(step(known, match[1])), match[3] or "")
    return step(known, match[2])


def test_a_workflow_uses_the_outputs(project: Path, linters: Path) -> None:
    """The page's, its `run` steps in a shell."""
    copied("yml", "#", ".github/workflows/deploy.yml", project)
    schema = ("--builtin-schema", "vendor.github-workflows")
    run(linters / "check-jsonschema", *schema, ".github/workflows/deploy.yml", cwd=project)
    jobs = yaml.safe_load((project / ".github/workflows/deploy.yml").read_text())["jobs"]
    known: dict[str, Any] = {"steps": {}, "needs": {}}
    said = []

    def step(one: dict[str, Any]) -> None:
        if not one.get("run", "").startswith(("layerkit ", "aws ")):
            return
        told = {name: evaluated(value, known) for name, value in one.get("env", {}).items()}
        file = project / "output"
        file.write_text("")
        said.append(run("bash", "-euo", "pipefail", "-c", one["run"], cwd=project, GITHUB_OUTPUT=str(file), **told))
        known["steps"][one.get("id", "")] = {"outputs": outputs(file)}

    for one in jobs["arns"]["steps"]:
        step(one)
    result = {name: evaluated(value, known) for name, value in jobs["arns"]["outputs"].items()}
    known["needs"]["arns"] = {"outputs": result}
    for combination in evaluated(jobs["canary"]["strategy"]["matrix"], known)["include"]:
        known["matrix"] = combination
        for one in jobs["canary"]["steps"]:
            step(one)
    words = [text.split() for text in said if text]
    assert words[0][-2:] == [FLASK.arn, WSGI.arn]
    told = [(text[text.index("--region") + 1], text[-1]) for text in words[1:]]
    assert sorted(told) == sorted((one.region, one.arn) for one in DOCUMENTED)


def test_outputs_with_odd_names(tmp_path: Path) -> None:
    here: list[Entry] = [one for one in ODD if one.region == "us-east-1"]
    file = tmp_path / "output"
    file.write_text(FORMS["github-output"](here))
    read = outputs(file)
    assert json.loads(read["arns"]) == {"us-east-1": MEANT["us-east-1"]}
    assert {read[name if name[0].isalpha() else f"_{name}"] for name in MEANT["us-east-1"]} == {
        one.arn for one in here
    }
