"""A function with its layers, really imported by a Python of its own, and what Lambda's client says of it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conftest import RUNTIME
from layerkit import config, lock, targets
from layerkit.local.blame import Blame, blame
from layerkit.local.nouns import Failure, Runnable
from layerkit.model import LayerInput, LayersFile, Lock, LockedLayer, Pin, Target

# As awslambdaric 4.2 words failures (bootstrap.py: _get_handler, handle_event_request, build_fault_result), and as
# layerkit's own bootstrap tells of the traceback of an import.  {root} stands for /: no root is needed here.
PROGRAM = """
import importlib, json, sys, traceback
root, handler, absent = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
version = "python%d.%d" % sys.version_info[:2]
opt = [f"{root}/opt/python/lib/{version}/site-packages", f"{root}/opt/python"]
sys.path[:0] = [f"{root}/var/task", *opt]

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())

def own(trace):
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.startswith(root):
            return trace
        trace = trace.tb_next

def tell(type, message, trace=(), error=None):
    cause = [] if error is None else traceback.format_exception(error.__class__, error, own(error.__traceback__))
    lines = [line for part in cause for line in part.rstrip("\\n").split("\\n")]
    said = json.dumps({"type": type, "message": message, "trace": list(trace), "cause": lines})
    print(said.replace(root, ""))
    sys.exit()

def stack(error):
    found = [(f.filename, f.lineno, f.name, f.line) for f in traceback.extract_tb(error.__traceback__)]
    return traceback.format_list(found[1:])

module, name = handler.rsplit(".", 1)
try:
    found = importlib.import_module(module.replace("/", "."))
except ImportError as error:
    tell("Runtime.ImportModuleError", f"Unable to import module '{module}': {error}", error=error)
except SyntaxError as error:
    trace = ['  File "%s" Line %s\\n    %s' % (error.filename, error.lineno, error.text)]
    tell("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module}': {error}", trace, error)
except Exception as error:
    tell(type(error).__name__, str(error), stack(error), error)
if not hasattr(found, name):
    tell("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module}'")
try:
    answer = getattr(found, name)({}, None)
except Exception as error:
    tell(type(error).__name__, str(error), stack(error))
try:
    json.dumps(answer)
except Exception as error:
    tell("Runtime.MarshalError", f"Unable to marshal response: {error}")
"""

ELF = b"\x7fELF\2\1\1" + bytes(9) + b"\3\0"  # up to the machine, of 64 bits
MACHINE = {"x86_64": b"\x3e\0", "aarch64": b"\xb7\0"}


@dataclass(kw_only=True)
class World:
    """A project in a folder.  `index` is what the package index has; what it is asked for is remembered."""

    folder: Path
    index: Mapping[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    index_error: Exception | None = None
    runtime: str = RUNTIME
    architecture: str = "x86_64"
    variables: Mapping[str, str] = field(default_factory=dict)
    function: str = ""  # more keys of the function
    handler: str = "main.handler"

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for path, content in files.items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)

    def source(self, main: str, **others: str) -> None:
        self.write({"src/main.py": main} | {f"src/{name}.py": text for name, text in others.items()})

    def zip(self, key: str, files: Mapping[str, str | bytes], modes: Mapping[str, int] | None = None) -> Path:
        """dist/KEY.zip; its paths stand below python/ unless they begin with a /."""
        file = self.folder / "dist" / f"{key}.zip"
        file.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(file, "w") as archive:
            for path, content in files.items():
                place = path[1:] if path.startswith("/") else f"python/{path}"
                info = zipfile.ZipInfo(place)
                info.external_attr = (0o100000 | (modes or {}).get(path, 0o644)) << 16
                archive.writestr(info, content)
        return file

    def project(self, layers: Mapping[str, str], attached: Sequence[str] = ()) -> LayersFile:
        """layers.yaml with these layers (their keys in it) and the function."""
        lines = [
            "version: 1",
            f"defaults: {{runtimes: [{self.runtime}], architectures: [{self.architecture}]}}",
            "layers:",
        ]
        lines += [f"  {key}: {{{text}}}" for key, text in (layers or {"none": "requirements: [none]"}).items()]
        source = "source: src, " if (self.folder / "src").exists() else ""
        keys = f"{source}handler: {self.handler}, layers: [{', '.join(attached)}]{self.function}"
        lines += ["functions:", f"  hello: {{{keys}}}"]
        self.write({"layers.yaml": "\n".join(lines)})
        return config.load(self.folder / "layers.yaml")

    def lock(self, project: LayersFile, **layers: Mapping[str, str]) -> None:
        """A lock that gives each layer these distributions, name -> version."""
        pins = {Pin(name=n, version=v, hashes=("sha256:0",)) for one in layers.values() for n, v in one.items()}
        locked = {
            key: LockedLayer(made_from=LayerInput.of(project.layers[key]), distributions=tuple(sorted(one)))
            for key, one in layers.items()
        }
        lock.write(lock.path_for(project), Lock(pins=tuple(sorted(pins)), layers=locked))

    def runnable(self, project: LayersFile) -> Runnable:
        function = project.functions["hello"]
        zips = tuple(self.folder / "dist" / f"{key}.zip" for key in function.layers)
        variables = {**function.environment, **self.variables}
        return Runnable(function=function, target=self.target(), zips=zips, variables=variables)

    def target(self) -> Target:
        found = targets.find_runtime(self.runtime)
        assert found
        return found.target(self.architecture)

    def fails(self, project: LayersFile, absent: Sequence[str] = ()) -> Failure:
        """What comes of running it: modules that are `absent` are not in this Python either."""
        root = self.folder / "root"
        for zip_file in self.runnable(project).zips:
            with zipfile.ZipFile(zip_file) as archive:
                archive.extractall(root / "opt")
        task = root / "var/task"
        task.parent.mkdir(parents=True)
        task.symlink_to(self.folder / "src") if (self.folder / "src").exists() else task.mkdir()
        command = [sys.executable, "-I", "-S", "-B", "-c", PROGRAM, str(root), self.handler, ",".join(absent)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        said = json.loads(done.stdout)
        return Failure(
            type=said["type"], message=said["message"], trace=tuple(said["trace"]), cause=tuple(said["cause"])
        )

    def blames(self, project: LayersFile, failure: Failure | None = None, *, absent: Sequence[str] = ()) -> Blame:
        found = blame(
            failure or self.fails(project, absent), self.runnable(project), project, self.folder / "dist",
            index=self.asks,
        )  # fmt: skip
        assert str(self.folder) not in f"{found.advice}{found.code}", "a path of this machine"
        assert "\n" not in found.advice
        return found

    def asks(self, requirement: str) -> str | None:
        self.asked.append(requirement)
        if self.index_error:
            raise self.index_error
        return self.index.get(requirement)


def wheel(name: str, version: str, files: Mapping[str, str | bytes], metadata: str = "") -> dict[str, str | bytes]:
    """The files of an installed distribution, with its metadata."""
    info = f"{name}-{version}.dist-info"
    record = "".join(f"{path},sha256=x,1\n" for path in files)
    return {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}",
        f"{info}/RECORD": record,
    }


Make = Callable[..., World]
