"""Runs a GitLab pipeline of a tag here: its jobs in the order of their needs, their script lines for real.

Artifacts are folders.  What cannot be had here is named in `Pipeline.stood_in`: images and services (this machine),
registering an emulator, and the release, which workflow_programs/glab.py makes.
https://docs.gitlab.com/ci/yaml/
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from workflows import PROGRAMS, new_python

EMULATOR = "python -c 'import docker"


class Loader(yaml.SafeLoader):
    """Also knows GitLab's tag."""


def _reference(loader: Loader, node: yaml.SequenceNode) -> tuple[str, ...]:
    return tuple(loader.construct_sequence(node))


Loader.add_constructor("!reference", _reference)


@dataclass(slots=True, kw_only=True)
class Pipeline:
    """A project and the pipeline of its tag."""

    folder: Path
    workspace: Path
    file: Path
    token: Callable[[Mapping[str, str]], str]  # claims -> what AWS is shown
    variables: Mapping[str, str] = field(default_factory=dict)
    scoped: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by environment
    machine: Mapping[str, str] = field(default_factory=dict)
    path: Sequence[Path] = ()
    project: str = "octo/layers"
    tag: str = "v1.0.0"
    results: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)
    stood_in: list[str] = field(default_factory=list)

    def run(self) -> None:
        """All jobs; manual ones are started by somebody who approves."""
        data = yaml.load(self.file.read_text(encoding="utf-8"), Loader)
        jobs = {name: _merged(data, name) for name in data if not name.startswith(".")}
        left = {name: job for name, job in jobs.items() if self._wanted(job)}
        while left:
            name = next(name for name, job in left.items() if not {need for need, _ in _needs(job)} & set(left))
            job = left.pop(name)
            needs = [need for need, optional in _needs(job) if need in self.results or not optional]
            if all(self.results[need] == "success" for need in needs):
                self.results[name] = self._job(data, name, job, needs)
            else:
                self.results[name] = "skipped"

    def _wanted(self, job: Mapping[str, Any]) -> bool:
        return any(_holds(rule["if"], {"CI_COMMIT_TAG": self.tag, **self.variables}) for rule in job["rules"])

    def _job(self, data: Mapping[str, Any], name: str, job: Mapping[str, Any], needs: Sequence[str]) -> str:
        place = self.folder / f"job-{len(list(self.folder.glob('job-*')))}-{name}"
        workspace = Path(shutil.copytree(self.workspace, place / "workspace", symlinks=True))
        for need in needs:
            if need in self.artifacts:
                shutil.copytree(self.artifacts[need], workspace, dirs_exist_ok=True)
        (place / "bin").mkdir()
        glab = place / "bin/glab"
        glab.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{PROGRAMS}/glab.py" "$@"\n')
        glab.chmod(0o755)
        self.stood_in.append(f"{name}: {job['image']}, {job.get('services', [])}: this machine")
        claims = {
            "iss": "https://gitlab.com", "project_path": self.project,
            "sub": f"project_path:{self.project}:ref_type:tag:ref:{self.tag}",
        }  # fmt: skip
        system = [part for part in os.get_exec_path() if "shims" not in part and ".venv" not in part]
        path = [place / "bin", new_python(place / "python"), *self.path, *system]
        declared = {key: value for key, value in job.get("variables", {}).items() if not key.startswith("DOCKER_")}
        environment = {
            **{key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"},
            **self.machine, **declared, **self.variables, **self.scoped.get(job.get("environment", ""), {}),
            **{key: self.token({**claims, **one}) for key, one in job.get("id_tokens", {}).items()},
            "CI": "true", "GITLAB_CI": "true", "CI_COMMIT_TAG": self.tag, "CI_PIPELINE_ID": "7",
            "PATH": os.pathsep.join(map(str, path)), "LAYERKIT_CACHE_DIR": str(place / "cache"),
            "GLAB_STANDIN": str(self.folder),
        }  # fmt: skip
        script = [*lines(data, job.get("before_script", [])), *lines(data, job["script"])]
        self.stood_in += [line for line in script if line.startswith(EMULATOR)]
        text = "\n".join(line for line in script if not line.startswith(EMULATOR))
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", text], cwd=workspace, env=environment, text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.said[name] = done.stdout
        if done.returncode:
            return "failed"
        for pattern in job.get("artifacts", {}).get("paths", []):
            kept = self.artifacts.setdefault(name, place / "artifacts")
            found = workspace / pattern
            for file in found.rglob("*") if found.is_dir() else [found]:
                (kept / file.relative_to(workspace)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, kept / file.relative_to(workspace))
        return "success"


def _merged(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """`extends`: mappings are merged, all else is replaced."""
    own = dict(data[name])
    if "extends" not in own:
        return own
    base = _merged(data, own.pop("extends"))
    both = {key: {**base[key], **own[key]} for key in own if isinstance(own[key], dict) and key in base}
    return {**base, **own, **both}


def _needs(job: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Names of jobs, and whether they may be missing."""
    needs = job.get("needs", [])
    return [(one, False) if isinstance(one, str) else (one["job"], one.get("optional", False)) for one in needs]


def lines(data: Mapping[str, Any], script: Sequence[Any]) -> list[str]:
    """The lines of a script, references filled in."""
    found: list[str] = []
    for one in script:
        assert isinstance(one, tuple | str), f"no line, but for YAML: {one}"
        found += lines(data, data[one[0]][one[1]]) if isinstance(one, tuple) else [one]
    return found


def _holds(rule: str, variables: Mapping[str, str]) -> bool:
    """Of `$NAME =~ /^…/` and `$NAME == "…"`, with && between."""
    for part in rule.split(" && "):
        found = re.fullmatch(r'\$(\w+) (?:=~ /(.+)/|== "(.*)")', part)
        assert found, part
        value = variables.get(found[1], "")
        if not (re.search(found[2], value) if found[2] else value == found[3]):
            return False
    return True
