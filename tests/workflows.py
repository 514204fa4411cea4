"""Runs a GitHub workflow here: its jobs in their order, its shell steps for real, its actions as far as that goes.

Jobs have a folder of their own each, with needs, conditions, matrices, outputs, permissions and environments;
artifacts and releases are folders.  What cannot be had here is named in `Run.stood_in`: setup-python (a virtual
environment of the Python that runs this), setup-qemu (the machine emulates or not), attestations (files and
permissions are there, nothing is signed).  AWS's credentials come from `Repository.assume`; `gh` is
workflow_programs/gh.py.  An action that nobody knows is a failure.
"""

from __future__ import annotations

import ensurepip
import glob
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from expressions import condition, filled, text
from layerkit import uv

PIP = "pip: uv, which takes the same arguments and a tenth of the time"
PROGRAMS = Path(__file__).parent / "workflow_programs"
SHA = "0123456789abcdef0123456789abcdef01234567"
Claims = Mapping[str, str]


class Failed(Exception):
    """A step failed; its words are why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """What GitHub has of a repository, and what its jobs find around them."""

    folder: Path  # of this runner: releases and what jobs leave
    workspace: Path  # what a checkout gives
    name: str = "octo-org/layers"
    ids: tuple[str, str] = ("65", "74")  # of owner and repository
    young: bool = False  # made since 2026-07-15: the ids stand in `sub`
    tags: Sequence[str] = ("v1.0.0",)
    variables: Mapping[str, str] = field(default_factory=dict)
    environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # name -> its variables
    actions: Mapping[str, Path] = field(default_factory=dict)  # owner/name -> its checkout
    machine: Mapping[str, str] = field(default_factory=dict)  # environment variables of every runner
    path: Sequence[Path] = ()  # of every runner, before the system's
    real_pip: Collection[str] = ()  # jobs in which pip is pip
    # claims, role, region -> AWS_… and account
    assume: Callable[[Claims, str, str], Mapping[str, str]] = lambda *_: {}
    approve: Callable[[str], bool] = lambda _: True  # a job of this environment may start
    sabotage: Callable[[str, Path], object] = lambda *_: None  # job and workspace, before each of its steps

    def subject(self, job: Mapping[str, Any], tag: str) -> str:
        """`sub` of the job's token.

        https://docs.github.com/en/actions/reference/security/oidc ; the form with ids: github/docs#45221
        """
        owner, _, name = self.name.partition("/")
        whole = f"{owner}@{self.ids[0]}/{name}@{self.ids[1]}" if self.young else self.name
        environment = _environment_of(job)
        return f"repo:{whole}:environment:{environment}" if environment else f"repo:{whole}:ref:refs/tags/{tag}"


@dataclass(slots=True, kw_only=True)
class Job:
    """A job at its end; of a matrix, all of them as one."""

    result: str = "success"
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    said: str = ""
    steps: list[tuple[str, str]] = field(default_factory=list)  # name and outcome


@dataclass(slots=True, kw_only=True)
class Artifact:
    number: int
    folder: Path


@dataclass(slots=True, kw_only=True)
class Run:
    """A run of a workflow."""

    jobs: dict[str, Job] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    stood_in: list[str] = field(default_factory=list)
    attested: list[str] = field(default_factory=list)  # names of files
    number: int = 1
    uploads: int = 0

    @property
    def results(self) -> dict[str, str]:
        return {name: job.result for name, job in self.jobs.items()}

    def said(self) -> str:
        return "\n".join(f"--- {name}: {job.result}\n{job.said}" for name, job in self.jobs.items())


def run(
    repository: Repository, workflow: Path, tag: str = "", again: Run | None = None, jobs: Collection[str] = ()
) -> Run:
    """Push a tag, or run a run once more: all of its jobs, or these and those that come after them."""
    data = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    found = again or Run()
    left = dict(data["jobs"])
    if jobs:
        left = {name: job for name, job in left.items() if set(jobs) & {name, *_before(name, data["jobs"])}}
    for name in left:
        found.jobs.pop(name, None)
    while left:
        ready = next(name for name, job in left.items() if not set(_needs(job)) & set(left))
        found.jobs[ready] = _Walk(repository, data, found, tag or repository.tags[-1], ready).walked()
        del left[ready]
    return found


def _needs(job: Mapping[str, Any]) -> list[str]:
    needs = job.get("needs", [])
    return [needs] if isinstance(needs, str) else list(needs)


def _before(name: str, jobs: Mapping[str, Any]) -> set[str]:
    """All jobs that one comes after."""
    return {one for need in _needs(jobs[name]) for one in (need, *_before(need, jobs))}


def _environment_of(job: Mapping[str, Any]) -> str:
    given = job.get("environment", "")
    return str(given.get("name", "")) if isinstance(given, dict) else str(given)


def _combinations(matrix: Mapping[str, Any]) -> list[dict[str, Any]]:
    keys = [key for key in matrix if key not in ("include", "exclude")]
    found = [dict(zip(keys, values, strict=True)) for values in itertools.product(*(matrix[key] for key in keys))]
    found = [one for one in found if one not in matrix.get("exclude", [])] if keys else []
    return [*found, *matrix.get("include", [])] or [{}]


class _Walk:
    """One job."""

    def __init__(self, repository: Repository, workflow: Mapping[str, Any], run: Run, tag: str, name: str) -> None:
        self.repository, self.workflow, self.run, self.tag, self.name = repository, workflow, run, tag, name
        self.spec: Mapping[str, Any] = workflow["jobs"][name]
        self.job = Job()
        self.permissions = self.spec.get("permissions", workflow.get("permissions", "read-all"))
        assert isinstance(self.permissions, dict), f"{name} has permissions {self.permissions!r}"
        token = json.dumps(self.permissions)
        self.contexts: dict[str, Any] = {
            "vars": dict(repository.variables),
            "needs": {
                need: {"result": job.result, "outputs": job.outputs}
                for need, job in run.jobs.items()
                if need in _needs(self.spec)
            },
            "matrix": {},
            "inputs": {},
            "github": {
                "workflow": workflow.get("name", ""), "ref": f"refs/tags/{tag}", "ref_name": tag, "sha": SHA,
                "run_id": str(run.number), "repository": repository.name, "token": token,
            },
            "runner": {"os": "Linux"},
        }  # fmt: skip
        self.masks: set[str] = set()

    def walked(self) -> Job:
        environment = _environment_of(self.spec)
        if not condition(self.spec.get("if"), self.contexts, self._functions(self._ancestors)):
            self.job.result = "skipped"
            return self.job
        if environment:
            assert environment in self.repository.environments, f"there is no environment {environment}"
            if not self.repository.approve(environment):
                self.job.result, self.job.said = "failure", f"{environment}: rejected"
                return self.job
            self.contexts["vars"] |= self.repository.environments[environment]
        matrix = filled(self.spec.get("strategy", {}).get("matrix", {}), self.contexts, {})
        for combination in _combinations(matrix):
            self.contexts["matrix"] = combination
            _Machine(self, self.contexts, self.spec).work()
        return self.job

    def _ancestors(self) -> list[str]:
        return [self.run.jobs[name].result for name in _before(self.name, self.workflow["jobs"])]

    def _functions(self, results: Callable[[], Sequence[str]]) -> dict[str, Callable[..., Any]]:
        return {
            "success": lambda: all(one == "success" for one in results()),  # a skipped one before is none
            "failure": lambda: any(one == "failure" for one in results()),
            "cancelled": lambda: False,
            "always": lambda: True,
            "fromJSON": json.loads,
        }

    def allowed(self, right: str) -> bool:
        return bool(self.permissions.get(right) == "write")


class _Machine:
    """The machine of one job, or of one step of it that is an action made of steps."""

    def __init__(self, walk: _Walk, contexts: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        self.walk, self.spec, self.job = walk, spec, walk.job
        number = len(list(walk.repository.folder.glob("machine-*"))) + 1
        self.place = walk.repository.folder / f"machine-{number}-{walk.name}"
        self.workspace, self.temp = self.place / "workspace", self.place / "temp"
        for folder in (self.workspace, self.temp, self.place / "bin"):
            folder.mkdir(parents=True)
        self.contexts: dict[str, Any] = {**contexts, "steps": {}, "env": {}}
        self.failed = False
        self.action = False  # the steps are an action's
        (self.place / "bin/gh").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{PROGRAMS}/gh.py" "$@"\n')
        (self.place / "bin/gh").chmod(0o755)
        (walk.repository.folder / "tags").write_text("\n".join(walk.repository.tags))
        system = [part for part in os.get_exec_path() if "shims" not in part and ".venv" not in part]
        self.path = [str(self.place / "bin"), *map(str, walk.repository.path), *system]
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in ("PATH", "VIRTUAL_ENV")},
            **walk.repository.machine,
            "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_REF_NAME": walk.tag, "GITHUB_SHA": SHA,
            "GITHUB_REF": f"refs/tags/{walk.tag}", "GITHUB_REPOSITORY": walk.repository.name,
            "GITHUB_WORKSPACE": str(self.workspace), "RUNNER_TEMP": str(self.temp), "RUNNER_OS": "Linux",
            "LAYERKIT_CACHE_DIR": str(self.place / "cache"), "GH_STANDIN": str(walk.repository.folder),
        }  # fmt: skip

    def work(self) -> None:
        for scope in (self.walk.workflow, self.spec):
            self.environment.update(self._filled(scope.get("env", {})))
        for number, step in enumerate(self.spec["steps"]):
            self.walk.repository.sabotage(self.walk.name, self.workspace)
            self._step(step, step.get("id", f"_{number}"))
        outputs = self._filled(self.spec.get("outputs", {}))
        for name, value in outputs.items():
            if any(mask in value for mask in self.walk.masks):
                # ConvertToJobOutputs of the runner; aws-actions/configure-aws-credentials#304
                self.job.said += f"Skip output '{name}' since it may contain secret.\n"
            else:
                self.job.outputs[name] = value
        for mask in self.walk.masks:
            self.job.summary = self.job.summary.replace(mask, "***")
        if self.failed:
            self.job.result = "failure"

    def _functions(self) -> dict[str, Callable[..., Any]]:
        return self.walk._functions(lambda: ["failure"] if self.failed else [])

    def _filled(self, value: Mapping[str, Any]) -> dict[str, str]:
        return {key: text(filled(one, self.contexts, self._functions())) for key, one in value.items()}

    def _step(self, step: Mapping[str, Any], identity: str) -> None:
        title = step.get("name") or step.get("uses") or step["run"].splitlines()[0]
        self.contexts["steps"][identity] = {"outputs": {}}
        self.contexts["env"] = dict(self.environment)
        if not condition(step.get("if"), self.contexts, self._functions()):
            self.job.steps.append((title, "skipped"))
            return
        self.job.said += f"{title}\n"
        try:
            outputs = self._used(step) if "uses" in step else self._shell(step)
            self.contexts["steps"][identity]["outputs"] = outputs
            self.job.steps.append((title, "success"))
        except Failed as failure:
            self.job.said += f"FAILED: {failure}\n"
            self.job.steps.append((title, "failure"))
            self.failed = not step.get("continue-on-error", False)

    # steps that are shell

    def _shell(self, step: Mapping[str, Any]) -> dict[str, str]:
        files = {name: self.temp / f"_{name}" for name in ("OUTPUT", "ENV", "PATH", "STEP_SUMMARY")}
        for path in files.values():
            path.write_text("")
        defaults = {
            **self.walk.workflow.get("defaults", {}).get("run", {}),
            **self.spec.get("defaults", {}).get("run", {}),
        }
        shell = self._filled({"shell": step.get("shell", defaults.get("shell", ""))})["shell"]
        # https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
        flags = {"bash": ["--noprofile", "--norc", "-eo", "pipefail"], "": ["-e"]}[shell]
        script = self.temp / "_script.sh"
        script.write_text(text(filled(step["run"], self.contexts, self._functions())))
        folder = self._filled({"": step.get("working-directory", defaults.get("working-directory", "."))})[""]
        done = subprocess.run(
            ["bash", *flags, str(script)], cwd=self.workspace / folder, text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={
                **self.environment, **self._filled(step.get("env", {})), "PATH": os.pathsep.join(self.path),
                **{f"GITHUB_{name}": str(path) for name, path in files.items()},
            },
        )  # fmt: skip
        self.job.said += done.stdout
        self.walk.masks.update(re.findall(r"^::add-mask::(.+)$", done.stdout, re.MULTILINE))
        self.environment.update(_assigned(files["ENV"].read_text()))
        self.path[:0] = reversed(files["PATH"].read_text().split("\n")[:-1])
        self.job.summary += files["STEP_SUMMARY"].read_text()
        if done.returncode:
            raise Failed(f"exit status {done.returncode}")
        return _assigned(files["OUTPUT"].read_text())

    # steps that are actions

    def _used(self, step: Mapping[str, Any]) -> dict[str, str]:
        name, _, version = step["uses"].partition("@")
        given = self._filled(step.get("with", {}))
        checkout = self.workspace / name if name.startswith("./") else self.walk.repository.actions.get(name)
        if checkout:
            return self._composite(checkout, given, self._filled(step.get("env", {})))
        assert re.fullmatch(r"[0-9a-f]{40}", version), f"{name} is not pinned"
        return ACTIONS[name](self, given)

    def _composite(self, checkout: Path, given: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
        """On the job's machine: https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax"""
        action = yaml.safe_load((checkout / "action.yml").read_text(encoding="utf-8"))
        declared = action.get("inputs", {})
        assert set(given) <= set(declared), f"unexpected inputs {set(given) - set(declared)}"
        inputs = {key: given.get(key, text(one.get("default"))) for key, one in declared.items()}
        assert all(inputs[key] for key, one in declared.items() if one.get("required"))
        outer, was = self.contexts, dict(self.environment)
        self.contexts = {**outer, "inputs": inputs, "steps": {}}
        self.contexts["github"] = {**outer["github"], "action_path": str(checkout)}
        self.action = True
        self.environment.update(env, GITHUB_ACTION_PATH=str(checkout))
        try:
            for number, step in enumerate(action["runs"]["steps"]):
                assert "uses" in step or step["shell"], "a composite action's step names its shell"
                self._step(step, step.get("id", f"_{number}"))
            if self.failed:
                raise Failed(f"{checkout.name}/action.yml")
            return {
                key: text(filled(one["value"], self.contexts, self._functions()))
                for key, one in action.get("outputs", {}).items()
            }
        finally:
            self.contexts, self.action = outer, False
            for key in ("GITHUB_ACTION_PATH", *env):
                self.environment.pop(key, None)
                self.environment.update({key: was[key]} if key in was else {})

    def checkout(self, given: Mapping[str, str]) -> dict[str, str]:
        if self.walk.permissions.get("contents") not in ("read", "write"):
            raise Failed("remote: Write access to repository not granted.")  # what git is told without contents: read
        assert given == {"persist-credentials": "false"}, given
        shutil.copytree(self.walk.repository.workspace, self.workspace, dirs_exist_ok=True, symlinks=True)
        return {}

    def setup_python(self, given: Mapping[str, str]) -> dict[str, str]:
        self.walk.run.stood_in.append(f"setup-python {given['python-version']}: a virtual environment of this Python")
        home = self.place / "python"
        real = self.walk.name in self.walk.repository.real_pip
        new_python(home, _pip(self.walk.repository.folder) if real else None)
        if not real:
            self.walk.run.stood_in.append(PIP)
        if given.get("update-environment", "true") == "true":
            self.path.insert(0, str(home / "bin"))
        return {"python-path": str(home / "bin/python")}

    def setup_qemu(self, given: Mapping[str, str]) -> dict[str, str]:
        assert re.search(r"@sha256:[0-9a-f]{64}$", given["image"])  # what is privileged is not whatever is newest
        self.walk.run.stood_in.append(f"setup-qemu {given['platforms']}: what this machine emulates")
        return {}

    def upload(self, given: Mapping[str, str]) -> dict[str, str]:
        """As actions/upload-artifact: paths below the nearest folder that all of them have in common."""
        found = [path for line in given["path"].split() for path in self._matched(line)]
        if not found:
            if given.get("if-no-files-found") == "error":
                raise Failed(f"No files were found with the provided path: {given['path']}")
            return {"artifact-id": ""}
        if given["name"] in self.walk.run.artifacts and given.get("overwrite") != "true":
            raise Failed("Conflict: an artifact with this name already exists on the workflow run")
        self.walk.run.uploads += 1
        number = self.walk.run.uploads
        folder = self.walk.repository.folder / f"artifact-{self.walk.run.number}-{number}"
        lines = given["path"].split()
        root = self.workspace / lines[0] if len(lines) == 1 else Path(os.path.commonpath(found))
        root = root if root.is_dir() else root.parent
        for path in found:
            (folder / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / path.relative_to(root))
        self.walk.run.artifacts[given["name"]] = Artifact(number=number, folder=folder)
        return {"artifact-id": str(number)}

    def _matched(self, pattern: str) -> list[Path]:
        found = [Path(one) for one in glob.glob(str(self.workspace / pattern))]  # noqa: PTH207
        files = [one for path in found for one in (path.rglob("*") if path.is_dir() else [path])]
        return sorted(one for one in files if one.is_file() and not one.name.startswith("."))

    def download(self, given: Mapping[str, str]) -> dict[str, str]:
        """By id: an artifact of the same name that was put in its place has another."""
        assert set(given) == {"artifact-ids", "path"}, given
        numbers = {str(one.number): one for one in self.walk.run.artifacts.values()}
        if given["artifact-ids"] not in numbers:
            raise Failed(f"no artifact {given['artifact-ids']!r}")
        shutil.copytree(numbers[given["artifact-ids"]].folder, self.workspace / given["path"], dirs_exist_ok=True)
        return {}

    def credentials(self, given: Mapping[str, str]) -> dict[str, str]:
        """As aws-actions/configure-aws-credentials, with AWS's answer from `Repository.assume`."""
        if not self.walk.allowed("id-token"):
            raise Failed("It looks like you might be trying to authenticate with OIDC. Did you mean to set the "
                         "`id-token` permission?")  # fmt: skip
        subject = self.walk.repository.subject(self.walk.spec, self.walk.tag)
        claims = {
            "iss": "https://token.actions.githubusercontent.com", "aud": given.get("audience", "sts.amazonaws.com"),
            "sub": subject, "repository": self.walk.repository.name, "ref": f"refs/tags/{self.walk.tag}",
            "environment": _environment_of(self.walk.spec), "repository_id": self.walk.repository.ids[1],
        }  # fmt: skip
        region = given["aws-region"]
        made = dict(self.walk.repository.assume(claims, given["role-to-assume"], region))
        account = made.pop("account")
        self.environment.update(made, AWS_REGION=region, AWS_DEFAULT_REGION=region)
        if given.get("mask-aws-account-id", "false") == "true":
            self.walk.masks.add(account)
        return {"aws-account-id": account}

    def attest(self, given: Mapping[str, str]) -> dict[str, str]:
        if not (self.walk.allowed("id-token") and self.walk.allowed("attestations")):
            raise Failed("missing permissions")
        names = []
        for line in given["subject-path"].split():
            found = self._matched(line)
            if not found:
                raise Failed(f"Could not find subject at path {line}")
            names += [path.name for path in found]
        self.walk.run.attested = names
        self.walk.run.stood_in.append("attest-build-provenance: nothing is signed")
        return {}


ACTIONS: Mapping[str, Callable[[_Machine, Mapping[str, str]], dict[str, str]]] = {
    "actions/checkout": _Machine.checkout,
    "actions/setup-python": _Machine.setup_python,
    "actions/upload-artifact": _Machine.upload,
    "actions/download-artifact": _Machine.download,
    "actions/attest-build-provenance": _Machine.attest,
    "docker/setup-qemu-action": _Machine.setup_qemu,
    "aws-actions/configure-aws-credentials": _Machine.credentials,
}


def new_python(home: Path, pip: Path | None = None) -> Path:
    """bin/ of an environment with this pip, or with what stands for it."""
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", "--without-pip", str(home)], check=True)
    [packages] = home.glob("lib/python*/site-packages")
    if pip:
        (packages / "pip.pth").write_text(f"{pip}\n")
    else:
        shutil.copytree(PROGRAMS / "pip", packages / "pip")
        (packages / "pip/uv").symlink_to(uv.find())
    return home / "bin"


def _pip(folder: Path) -> Path:
    """A folder with the pip that came with this Python, and nothing else."""
    pip = folder / "pip"
    if not pip.exists():
        [wheel] = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(pip)
    return pip


def _assigned(content: str) -> dict[str, str]:
    """name=value, and name<<END … END: https://github.com/actions/runner src/Runner.Worker/FileCommandManager.cs"""
    found: dict[str, str] = {}
    lines = iter(content.splitlines())
    for line in filter(None, lines):
        name, equals, value = line.partition("=")
        marked, arrows, end = line.partition("<<")
        if arrows and (not equals or len(marked) < len(name)):
            found[marked] = "\n".join(itertools.takewhile(lambda one, end=end: one != end, lines))  # type: ignore[misc]
        elif equals:
            found[name] = value
        else:
            raise Failed(f"Invalid format '{line}'")
    return found
