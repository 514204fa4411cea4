"""layers.yaml -> LayersFile: every rule of the file, and every mistake told at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from layerkit import checks, targets
from layerkit.environment import BUILD, CONTAINER, container, environment, nothing_to_build
from layerkit.errors import ConfigError
from layerkit.model import Bytecode, Environment, Function, Layer, LayersFile, Prune, Publishing, Target
from layerkit.publishing import publishing
from layerkit.reader import Value, nearest, read
from layerkit.running import LAYERS_OFF, RUNNING, running

TOP = ("version", "defaults", "container", "layers", "functions", "publish")
DEFAULTS = ("runtimes", "architectures", "license", "bytecode", "prune", "verify", *BUILD)
LAYER = ("name", "description", "requirements", "uses", "source", "system_packages", *DEFAULTS)
FUNCTION = ("source", "handler", "layers", "verify", *RUNNING)
HINTS = {
    "runtime": "write runtimes: [python3.12]",
    "architecture": "write architectures: [arm64]",
    "system_packages": "write it in each layer that needs it",
    **{key: f"{key} stands under container" for key in CONTAINER},
    **dict.fromkeys(checks.LAYER, "write it under verify"),
}

# ASCII alone, here and below: \w and \d would take other scripts' letters and digits, which AWS does not
KEY = r"[A-Za-z0-9][A-Za-z0-9_-]{0,139}"  # it is the layer's name unless another is given
NAME = r"[A-Za-z0-9_-]{1,140}"  # botocore: LayerName, without the ARN form
HANDLER = r"[A-Za-z_][A-Za-z0-9_./-]*\.[A-Za-z_][A-Za-z0-9_]*"
FOLDER = r"(?!/)(?!(.*/)?\.\.(/|$))[^\x00-\x1f]+"
SOME = r"(?s).+"  # any text but none


def load(path: Path) -> LayersFile:
    """Read and check `path`.  Raises ConfigError with all its mistakes."""
    path = path.absolute()
    root = read(path)
    loader = _Loader(path)
    file = loader.file(root)
    if root.notes.problems:
        count = len(root.notes.problems)
        raise ConfigError(
            f"has {count} mistake{'s' if count > 1 else ''}", where=path.name, problems=tuple(root.notes.problems)
        )
    return file


class _Loader:
    """Reads one file; `warnings` gathers what is odd but can be worked with."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.image = ""
        self.warnings: dict[str, None] = {}

    def file(self, root: Value) -> LayersFile:
        top = root.fields(TOP)
        if not root.is_mapping:
            return LayersFile(path=self.path, layers={})
        if "version" not in top:
            root.wrong("the key 'version' is missing; write version: 1")
        elif top["version"].kind() != "a number (1)":
            top["version"].wrong(f"must be the number 1, not {top['version'].kind()}: this layerkit reads version 1")
        self.image, step_limit = container(top["container"].fields(CONTAINER) if "container" in top else {})
        defaults = top["defaults"].fields(DEFAULTS, hints=HINTS) if "defaults" in top else {}
        checks.checks(None, (), defaults.get("verify"))
        self._settings(defaults)  # so that a mistake there is told even if every layer overrides it
        if "layers" not in top:
            root.wrong("the key 'layers' is missing")
        declared = top["layers"].entries("a mapping of layers", empty="declares no layer") if "layers" in top else {}
        layers = {key: self._layer(key, value, defaults, declared) for key, value in declared.items()}
        self._uses(layers, declared)
        self._names(layers, declared)
        functions = {}
        for key, value in (top["functions"].entries("a mapping of functions") if "functions" in top else {}).items():
            functions[key] = self._function(key, value, layers)
        published = publishing(top["publish"]) if "publish" in top else Publishing()
        return LayersFile(
            path=self.path,
            layers=layers,
            functions=functions,
            publishing=published,
            step_limit=step_limit,
            warnings=tuple(self.warnings),
        )

    def _layer(self, key: str, value: Value, defaults: dict[str, Value], declared: dict[str, Value]) -> Layer:
        if not re.fullmatch(KEY, key):
            value.wrong("a layer's key is at most 140 letters, digits, - and _, and begins with a letter or digit")
        fields = value.fields(LAYER, hints=HINTS)
        built_for, license_, bytecode, prune, builds = self._settings(defaults | fields)
        name, description = key, ""
        if "name" in fields:
            name = fields["name"].text(
                "a layer name", pattern=NAME, rule="AWS takes letters, digits, - and _, at most 140"
            )
        if "description" in fields:
            description = fields["description"].text(limit=targets.limit("description"))
        if "requirements" not in fields or fields["requirements"].is_empty:
            if value.is_mapping and "source" not in fields:
                value.wrong("the layer is empty, which AWS refuses; give it requirements or a source")
            nothing_to_build(fields)
        return Layer(
            key=key,
            name=name,
            targets=built_for,
            description=description,
            license=license_,
            requirements=tuple(_requirements(fields["requirements"])) if "requirements" in fields else (),
            uses=_keys(fields["uses"], declared) if "uses" in fields else (),
            source=self._folder(fields["source"]) if "source" in fields else None,
            bytecode=bytecode,
            prune=prune,
            environment=builds,
            checks=checks.checks(fields.get("verify"), checks.LAYER, defaults.get("verify")),
        )

    def _settings(
        self, fields: dict[str, Value]
    ) -> tuple[tuple[Target, ...], str, Bytecode, frozenset[Prune], Environment]:
        """What may stand under `defaults`, too."""
        names, architectures = ["python3.12"], ["arm64"]
        if "runtimes" in fields:
            names = list(self._runtimes(fields["runtimes"]))
        if "architectures" in fields:
            items = fields["architectures"].items("architectures", empty="names no architecture")
            found = [
                item.choice(targets.ARCHITECTURES, "an architecture of Lambda", others=targets.OTHER_ARCHITECTURES)
                for item in items
            ]
            architectures = [architecture for architecture in found if architecture]
        runtimes = filter(None, map(targets.find_runtime, names))
        built_for = sorted(runtime.target(machine, self.image) for runtime in runtimes for machine in architectures)
        license_ = fields["license"].text(limit=targets.limit("license")) if "license" in fields else ""
        bytecode = fields["bytecode"].choice(tuple(Bytecode), "a kind of bytecode") if "bytecode" in fields else None
        groups = fields["prune"].items("groups of files") if "prune" in fields else []
        prune = frozenset(filter(None, [item.choice(tuple(Prune), "a group of files") for item in groups]))
        return tuple(built_for), license_, bytecode or Bytecode.UNCHECKED_HASH, prune, environment(fields)

    def _runtimes(self, value: Value) -> Iterator[str]:
        known = targets.known_runtimes()
        for item in value.items("runtimes", empty="names no runtime", limit=targets.limit("runtimes")):
            bare = re.fullmatch(r"3\.[0-9]+", item.raw)
            name = f"python{item.raw}" if bare else item.text("a runtime of Lambda, as python3.12", pattern=SOME)
            runtime = targets.find_runtime(name)
            if not name:
                continue
            if not runtime:
                # python3.6 is no misspelling of python3.14
                hint = (
                    f"; known: {', '.join(known)}" if re.fullmatch(r"python[0-9.]+", name) else nearest(name, known)
                )
                item.wrong(f"{name!r} is not a runtime that layers can be built for{hint}")
            elif bare:
                item.wrong(f"{item.raw} is not a runtime of Lambda; write {name}")
            elif not runtime.known:
                where = f"{self.path.name}: line {item.line}: {item.path}"
                words = f"{name} is not a runtime that this layerkit knows ({', '.join(known)})"
                self.warnings[f"{where}: {words}; built as for the newest of them"] = None
            yield name

    def _folder(self, value: Value) -> Path | None:
        """A folder inside the project, absolute."""
        text = value.text("a folder", pattern=FOLDER, rule="write it relative to layers.yaml, without ..")
        if not text:
            return None
        project = self.path.parent.resolve()
        try:
            folder = (project / text).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):  # nowhere, a circle of links, a name that no file system takes
            value.wrong(f"there is no folder {text!r}")
            return None
        if folder == project:
            value.wrong(f"{text!r} is the project's own folder; name one inside it")
        elif not folder.is_relative_to(project):
            value.wrong(f"{text!r} is a link that leads out of the project")
        elif not folder.is_dir():
            value.wrong(f"{text!r} is a file, not a folder")
        return self.path.parent / text

    def _uses(self, layers: dict[str, Layer], declared: dict[str, Value]) -> None:
        """Every used layer is built for the user's targets, and no chain of uses is a circle."""
        for key, layer in layers.items():
            for used in layer.uses:
                lacks = set(layer.targets) - set(layers[used].targets)
                if lacks and layers[used].targets:  # without any: a mistake that is told at its own place
                    labels = ", ".join(target.label for target in sorted(lacks))
                    declared[key].entries()["uses"].wrong(
                        f"the layer {used!r} is not built for {labels}, which {key!r} is"
                    )
        done: set[str] = set()
        for start in layers:
            chain = {start: iter(layers[start].uses)} if start not in done else {}
            while chain:  # not by recursion: a chain may be longer than Python's stack
                key, uses = next(reversed(chain.items()))
                following = next(uses, None)
                if following is None:
                    done.add(key)
                    del chain[key]
                elif following in chain:
                    keys = list(chain)
                    circle = " -> ".join([*keys[keys.index(following) :], following])
                    declared[following].entries()["uses"].wrong(f"the layers use each other in a circle: {circle}")
                elif following not in done:
                    chain[following] = iter(layers[following].uses)

    @staticmethod
    def _names(layers: dict[str, Layer], declared: dict[str, Value]) -> None:
        """No two layers have one name; nor names that are one file on a file system that folds case."""
        first: dict[str, Layer] = {}
        for key, layer in layers.items():
            other = first.setdefault(layer.name.lower(), layer) if layer.name else layer
            if other is not layer:
                value = declared[key].entries().get("name", declared[key])
                but_case = "" if other.name == layer.name else f" (as {other.name!r})"
                value.wrong(f"{layer.name!r} is the name in AWS of the layer {other.key!r}, too{but_case}")

    def _function(self, key: str, value: Value, layers: dict[str, Layer]) -> Function:
        fields = value.fields(FUNCTION)
        if "layers" not in fields:
            value.wrong("the key 'layers' is missing")
        limit = targets.limit("layers_per_function")
        names = _keys(fields["layers"], layers, limit=limit) if "layers" in fields else ()
        handler = (
            fields["handler"].text("a handler", pattern=HANDLER, rule="write module.function")
            if "handler" in fields
            else ""
        )
        source = self._folder(fields["source"]) if "source" in fields else None
        checked = checks.checks(fields.get("verify"), checks.FUNCTION)
        variables, timeout, memory = running(fields)
        if LAYERS_OFF in variables and names:
            line = fields["environment"].entries()[LAYERS_OFF].line
            words = "where it is set, Lambda's Python looks into no layer"
            self.warnings[f"{self.path.name}: line {line}: functions.{key}.environment.{LAYERS_OFF}: {words}"] = None
        return Function(
            key=key,
            source=source,
            handler=handler,
            layers=names,
            checks=checked,
            environment=variables,
            timeout=timeout,
            memory=memory,
        )


def _requirements(value: Value) -> Iterator[str]:
    """PEP 508 requirements of distributions by name; a URL could not be locked with the hashes of all its wheels.

    YAML splits the unquoted [Flask>=3.1,<4] at its comma.  An item that begins with a comparison can be nothing but
    the rest of the one before, so the two are put together again.
    """
    whole: list[tuple[Value, str]] = []
    for item in value.items("requirements", unique=False):
        text = item.text("a requirement, as Flask>=3.1", pattern=SOME)
        if whole and re.match(r"[<>=!~]", text):
            whole[-1] = (whole[-1][0], f"{whole[-1][1]},{text}")
        elif text:
            whole.append((item, text))
    for item, text in whole:
        try:
            url = Requirement(text).url
        except InvalidRequirement as error:
            if "://" not in text:
                item.wrong(f"{text!r} is not a requirement: {str(error).splitlines()[0]}")
                continue
            url = text
        if url:  # not shown: it may hold a password
            item.wrong("is a URL; layers are locked from an index: write the distribution's name and version")
        yield text


def _keys(value: Value, layers: Collection[str], *, limit: int = 0) -> tuple[str, ...]:
    """Keys of declared layers."""
    found = []
    for item in value.items("layers", limit=limit):
        key = item.text("a layer's key", pattern=SOME)
        if key in layers:
            found.append(key)
        elif key and layers:  # without any: a mistake that is told at its own place
            item.wrong(f"there is no layer {key!r}" + nearest(key, layers))
    return tuple(found)
