"""Run inside the build container by its own Python (3.9 or newer), not imported: one task, step by step.

The task is a file that is handed in, and what happens is told on standard output, a line of JSON for each event.
What was handed in is removed when the task ends, however it ends, since it may hold credentials.
"""

from __future__ import annotations

# Imports cost an emulated container 10 to 50 ms each: what most tasks do without is imported where it is used.
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

TYPE_CHECKING = False  # not from typing
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Step = dict[str, Any]

TOP = "/layerkit"
HANDED_IN = f"{TOP}/in"
PACKAGE_MANAGERS = (
    ("dnf", ["install", "-y", "--setopt=install_weak_deps=False", "--setopt=keepcache=1"]),
    ("microdnf", ["install", "-y", "--setopt=install_weak_deps=0"]),
    ("yum", ["install", "-y"]),
    ("apt-get", ["install", "-y", "--no-install-recommends"]),
)


# what missing programs and broken files raise, with what `wheel` makes of these; anything else ends the task
BROKEN = (OSError, EOFError, ValueError, RuntimeError)


class Task:
    def __init__(self, data: dict[str, Any]) -> None:
        self.run = data["run"]
        self.steps = data["steps"]
        self.together = data["together"]
        self.expected = data["expected"]
        self.secrets = data["secrets"]
        self.environment = {**os.environ, **data["environment"]}
        self.failed = threading.Event()
        self.processes: set[subprocess.Popen[str]] = set()
        self.lock = threading.Lock()

    def tell(self, event: str, **facts: object) -> None:
        text = json.dumps({"run": self.run, "event": event, **self.without_secrets(facts)})
        with self.lock:
            print(text, flush=True)  # noqa: T201

    def without_secrets(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.without_secrets(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.without_secrets(one) for one in value]
        if isinstance(value, str):
            for secret in self.secrets:
                value = value.replace(secret, "***")
        return value

    def call(self, step: Step, command: list[str], stdin: str | None = None) -> int | None:
        """Exit status of a program; None when it took longer than the step may.  Each line of it is an event."""
        process = subprocess.Popen(
            command, cwd=TOP, env=self.environment, start_new_session=True, text=True, errors="replace",
            stdin=open(stdin) if stdin else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        late = threading.Event()

        def stop() -> None:
            late.set()
            kill(process)

        timer = threading.Timer(step["limit"], stop)
        timer.start()
        self.processes.add(process)
        if self.failed.is_set():  # just now: whoever failed did not see this process
            kill(process)
        try:
            for line in process.stdout or ():
                self.tell("line", step=step["number"], text=line.rstrip("\n"))
            process.wait()
        finally:
            self.processes.discard(process)
            timer.cancel()
        return None if late.is_set() else process.returncode

    def do(self, step: Step) -> None:
        if self.failed.is_set():
            return
        try:
            result = STEPS[step["do"]](self, step)
        except BROKEN as error:
            result = {"status": 1, "problem": f"{type(error).__name__}: {error}"}
        if result["status"] != 0:
            if self.failed.is_set():  # ended for another's sake
                return
            self.failed.set()
            for process in list(self.processes):
                kill(process)
        self.tell("result", step=step["number"], **result)


def kill(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended by itself


def run(task: Task, step: Step) -> Step:
    command = [sys.executable if word == "{python}" else word for word in step["command"]]
    for folder in step.get("folders", ()):
        os.makedirs(folder, exist_ok=True)
    return {"status": task.call(step, command, step.get("stdin"))}


def packages(task: Task, step: Step) -> Step:
    """Install packages of the image's system, by its own package manager."""
    found = [(name, arguments) for name, arguments in PACKAGE_MANAGERS if shutil.which(name)]
    if not found:
        return {"status": 127, "missing": True}
    program, arguments = found[0]
    if program == "apt-get":
        task.environment["DEBIAN_FRONTEND"] = "noninteractive"
        task.call(step, [program, "update"])
    elif program == "dnf":
        arguments = [*arguments, f"--setopt=cachedir={TOP}/cache/dnf"]
        if "SSL_CERT_FILE" in task.environment:
            arguments.append(f"--setopt=sslcacert={task.environment['SSL_CERT_FILE']}")
    return {"status": task.call(step, [program, *arguments, *step["names"]])}


def wheel(task: Task, step: Step) -> Step:
    """Build a source distribution, and unpack its wheel with what an image adds to it taken off again."""
    import tarfile
    import zipfile
    import zlib

    try:
        return _wheel(task, step)
    except (zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _wheel(task: Task, step: Step) -> Step:
    import zipfile

    source, built, home = (os.path.join(TOP, "work", part, step["name"]) for part in ("source", "built", "unpacked"))
    _unpack(step["sdist"], source)  # always at the same place: compilers write it into what they make
    inside = [os.path.join(source, name) for name in os.listdir(source)]
    if len(inside) != 1 or not os.path.isdir(inside[0]):
        return {"status": 1, "problem": "the source distribution does not hold one folder"}
    command = [f"{TOP}/bin/uv", "build", "--wheel", "--no-create-gitignore", "--out-dir", built, "--python"]
    status = task.call(step, [*command, sys.executable, inside[0]])
    wheels = [name for name in os.listdir(built) if name.endswith(".whl")] if os.path.isdir(built) else []
    if status != 0 or len(wheels) != 1:
        return {"status": 1 if status == 0 else status}
    with zipfile.ZipFile(os.path.join(built, wheels[0])) as archive:
        archive.extractall(home)  # noqa: S202 - names that lead out are made harmless by zipfile
    binaries = list(_binaries(home))
    if binaries and shutil.which("strip"):
        # debug information: megabytes that nobody reads in Lambda, with this container's paths in it
        subprocess.run(["strip", "--strip-unneeded", *binaries], check=False)
    libraries, missing = _libraries(binaries, set(step["provided"]))
    for name, path in libraries.items():
        os.makedirs(f"{home}.libraries", exist_ok=True)
        shutil.copyfile(path, os.path.join(f"{home}.libraries", name))
    return {"status": 0, "wheel": wheels[0], "libraries": sorted(libraries), "missing": sorted(missing)}


def _unpack(sdist: str, into: str) -> None:
    import tarfile
    import zipfile

    shutil.rmtree(into, ignore_errors=True)
    os.makedirs(into)
    if sdist.endswith(".zip"):
        with zipfile.ZipFile(sdist) as archive:
            archive.extractall(into)  # noqa: S202
        return
    with tarfile.open(sdist) as tar:
        safe: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(into, **safe)  # noqa: S202


def _binaries(folder: str) -> Iterator[str]:
    for top, _, names in os.walk(folder):
        for name in sorted(names):
            path = os.path.join(top, name)
            with open(path, "rb") as file:
                head = file.read(18)
            if head[:4] == b"\x7fELF" and head[16:17] == b"\3":  # ET_DYN: extensions and shared libraries
                yield path


def _libraries(binaries: list[str], provided: set[str]) -> tuple[dict[str, str], set[str]]:
    """The shared libraries that the loader finds for `binaries` outside of them: by name, and those not found."""
    import re

    own = {os.path.basename(path) for path in binaries}
    found: dict[str, str] = {}
    missing: set[str] = set()
    for binary in binaries:
        listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
        for name, path in re.findall(r"^\s*(\S+) => (not found|\S+)", listed, flags=re.MULTILINE):
            if name in own or name in provided or name.startswith("ld-linux"):
                continue
            if path == "not found":
                missing.add(name)
            else:
                found[name] = os.path.realpath(path)
    return found, missing


STEPS = {"run": run, "packages": packages, "wheel": wheel}


def main() -> None:
    with open(f"{HANDED_IN}/task.json") as file:
        task = Task(json.load(file))
    os.unlink(f"{HANDED_IN}/task.json")
    try:
        found = {"machine": os.uname().machine, "python": ".".join(map(str, sys.version_info[:3]))}
        task.tell("checked", **found)
        if found["machine"] != task.expected["machine"] or not found["python"].startswith(task.expected["python"]):
            return
        steps = [{**step, "number": number} for number, step in enumerate(task.steps)]
        if task.together and len(steps) > 1:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(task.do, steps))
        else:
            for step in steps:
                task.do(step)
        task.tell("end")
    finally:
        shutil.rmtree(HANDED_IN, ignore_errors=True)


if __name__ == "__main__":
    main()
