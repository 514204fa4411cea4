"""layers.yaml -> LayersFile: every rule of the file, and every mistake told at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from layerkit import targets
from layerkit.errors import ConfigError
from layerkit.model import Bytecode, Function, Layer, LayersFile, Prune, Share, Target
from layerkit.reader import Value, nearest, read

TOP = ("version", "defaults", "layers", "functions", "publish")
DEFAULTS = ("runtimes", "architectures", "license", "bytecode", "prune")
LAYER = ("name", "description", "requirements", "uses", "source", *DEFAULTS)
FUNCTION = ("source", "handler", "layers")
PUBLISH = ("regions", "share")
SHARE = ("accounts", "organization")
HINTS = {"runtime": "write runtimes: [python3.12]", "architecture": "write architectures: [arm64]"}

KEY = r"[A-Za-z0-9][A-Za-z0-9_-]*"
NAME = r"[A-Za-z0-9_-]{1,140}"  # botocore: LayerName, without the ARN form
HANDLER = r"[A-Za-z_][\w./-]*\.[A-Za-z_]\w*"


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
        self.warnings: dict[str, None] = {}

    def file(self, root: Value) -> LayersFile:
        top = root.fields(TOP)
        if not root.entries():
            return LayersFile(path=self.path, layers={})
        if "version" not in top:
            root.wrong("the key 'version' is missing; write version: 1")
        elif top["version"].raw != "1":
            top["version"].wrong(f"must be 1, not {top['version'].kind()}: this layerkit reads version 1")
        defaults = top["defaults"].fields(DEFAULTS, hints=HINTS) if "defaults" in top else {}
        self._settings(defaults)  # so that a mistake there is told even if every layer overrides it
        if "layers" not in top:
            root.wrong("the key 'layers' is missing")
        declared = top["layers"].entries("a mapping of layers") if "layers" in top else {}
        if "layers" in top and not declared and not root.notes.problems:
            top["layers"].wrong("declares no layer")
        layers = {key: self._layer(key, value, defaults) for key, value in declared.items()}
        self._uses(layers, declared)
        self._names(layers, declared)
        functions = {}
        for key, value in (top["functions"].entries("a mapping of functions") if "functions" in top else {}).items():
            functions[key] = self._function(key, value, layers)
        publish = top["publish"].fields(PUBLISH) if "publish" in top else {}
        regions = _texts(publish.get("regions"), "regions", "an AWS region", r"[a-z]{2,}(-[a-z]+)+-\d+")
        return LayersFile(
            path=self.path,
            layers=layers,
            functions=functions,
            regions=regions,
            share=_share(publish["share"]) if "share" in publish else Share(),
            warnings=tuple(self.warnings),
        )

    def _layer(self, key: str, value: Value, defaults: dict[str, Value]) -> Layer:
        if not re.fullmatch(KEY, key):
            value.wrong(f"the layer's key {key!r} may hold letters, digits, - and _ only")
        fields = value.fields(LAYER, hints=HINTS)
        runtimes, bytecode, prune = self._settings(defaults | fields)
        if "name" in fields:
            name = fields["name"].text(
                "a layer name", pattern=NAME, rule="AWS takes letters, digits, - and _, at most 140"
            )
        else:
            name = key
        source = self._folder(fields["source"]) if "source" in fields else None
        requirements = tuple(_requirements(fields["requirements"])) if "requirements" in fields else ()
        broken = any(p.path.startswith(f"{value.path}.requirements") for p in value.notes.problems)
        if not requirements and "source" not in fields and not broken:
            value.wrong("the layer is empty, which AWS refuses; give it requirements or a source")
        license_value = (defaults | fields).get("license")
        return Layer(
            key=key,
            name=name,
            targets=runtimes,
            description=fields["description"].text(limit=targets.limit("description"))
            if "description" in fields
            else "",
            license=license_value.text(limit=targets.limit("license")) if license_value else "",
            requirements=requirements,
            uses=_texts(fields.get("uses"), "layer keys", "a layer's key"),
            source=source,
            bytecode=bytecode,
            prune=prune,
        )

    def _settings(self, fields: dict[str, Value]) -> tuple[tuple[Target, ...], Bytecode, frozenset[Prune]]:
        names = self._runtimes(fields["runtimes"]) if "runtimes" in fields else ["python3.12"]
        architectures = ["arm64"]
        if "architectures" in fields:
            items = fields["architectures"].items("architectures")
            found = [item.choice(targets.ARCHITECTURES, "an architecture of Lambda") for item in items]
            architectures = list(dict.fromkeys(filter(None, found)))
            if not items:
                fields["architectures"].wrong("names no architecture")
        built_for = []
        for name in names:
            runtime = targets.find_runtime(name)
            if runtime:
                built_for += [runtime.target(architecture) for architecture in architectures]
        bytecode = fields["bytecode"].choice(tuple(Bytecode), "a kind of bytecode") if "bytecode" in fields else None
        groups = fields["prune"].items("groups to leave out") if "prune" in fields else []
        prune = frozenset(filter(None, [item.choice(tuple(Prune), "a group of files") for item in groups]))
        return tuple(sorted(built_for)), bytecode or Bytecode.UNCHECKED_HASH, prune

    def _runtimes(self, value: Value) -> Iterator[str]:
        items = value.items("runtimes")
        if not items and not value.raw:
            value.wrong("names no runtime")
        for item in items:
            if re.fullmatch(r"3(\.\d+)?", item.raw):
                item.wrong(
                    f"{item.raw} is not a runtime of Lambda; write python{item.raw if '.' in item.raw else '3.12'}"
                )
                continue
            name = item.text("a runtime of Lambda, as python3.12")
            runtime = targets.find_runtime(name) if name else None
            if runtime and not runtime.known:
                known = ", ".join(targets.known_runtimes())
                self.warnings[
                    f"{self.path.name}: line {item.line}: {item.path}: {name} is not a runtime that this "
                    f"layerkit knows ({known}); built as for the newest of them"
                ] = None
            if runtime:
                yield name
            elif name:
                item.wrong(
                    f"{name!r} is not a runtime that layers can be built for"
                    + nearest(name, targets.known_runtimes())
                )

    def _folder(self, value: Value) -> Path | None:
        """A folder inside the project, absolute."""
        text = value.text("a folder")
        if not text:
            return None
        folder = self.path.parent / text
        project = self.path.parent.resolve()
        if not folder.resolve().is_relative_to(project) or folder.resolve() == project:
            value.wrong(f"{text} is not a folder inside the project ({project})")
        elif not folder.is_dir():
            value.wrong(f"there is no folder {text}")
        else:
            return folder
        return None

    def _uses(self, layers: dict[str, Layer], declared: dict[str, Value]) -> None:
        """Every used layer exists, is built for the user's targets, and no chain of uses is a circle."""
        for key, layer in layers.items():
            value = declared[key].entries().get("uses")
            for used in layer.uses:
                if value and used not in layers:
                    value.wrong(f"there is no layer {used!r}" + nearest(used, layers))
                elif value and set(layer.targets) - set(layers[used].targets):
                    lacks = ", ".join(t.label for t in sorted(set(layer.targets) - set(layers[used].targets)))
                    value.wrong(f"the layer {used!r} is not built for {lacks}, which {key!r} is")
        done: set[str] = set()
        for start in layers:
            chain: list[str] = []
            self._walk(start, chain, done, layers, declared)

    def _walk(
        self, key: str, chain: list[str], done: set[str], layers: dict[str, Layer], declared: dict[str, Value]
    ) -> None:
        if key in chain:
            circle = " -> ".join([*chain[chain.index(key) :], key])
            declared[key].entries()["uses"].wrong(f"the layers use each other in a circle: {circle}")
        elif key not in done and key in layers:
            for used in layers[key].uses:
                self._walk(used, [*chain, key], done, layers, declared)
            done.add(key)

    @staticmethod
    def _names(layers: dict[str, Layer], declared: dict[str, Value]) -> None:
        first: dict[str, str] = {}
        for key, layer in layers.items():
            other = first.setdefault(layer.name, key) if layer.name else key
            if other != key:
                declared[key].wrong(f"has the name {layer.name!r} in AWS, as the layer {other!r} has")

    def _function(self, key: str, value: Value, layers: dict[str, Layer]) -> Function:
        fields = value.fields(FUNCTION)
        if "layers" not in fields:
            value.wrong("the key 'layers' is missing")
        names = _texts(fields.get("layers"), "layer keys", "a layer's key")
        for name in names:
            if name not in layers:
                fields["layers"].wrong(f"there is no layer {name!r}" + nearest(name, layers))
        if len(names) > targets.limit("layers_per_function"):
            fields["layers"].wrong(
                f"has {len(names)} layers; Lambda takes at most {targets.limit('layers_per_function')}"
            )
        handler = (
            fields["handler"].text("a handler", pattern=HANDLER, rule="write module.function")
            if "handler" in fields
            else ""
        )
        source = self._folder(fields["source"]) if "source" in fields else None
        return Function(key=key, source=source, handler=handler, layers=names)


def _requirements(value: Value) -> Iterator[str]:
    """PEP 508 requirements of distributions by name; a URL could not be locked with the hashes of all its wheels.

    YAML splits the unquoted [Flask>=3.1,<4] at its comma.  An item that begins with a comparison can be nothing but
    the rest of the one before, so the two are put together again.
    """
    whole: list[tuple[Value, str]] = []
    for item in value.items("requirements"):
        text = item.text("a requirement, as Flask>=3.1")
        if whole and re.match(r"[<>=!~]", text):
            whole[-1] = (whole[-1][0], f"{whole[-1][1]},{text}")
        elif text:
            whole.append((item, text))
    for item, text in whole:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            item.wrong(f"{text!r} is not a requirement: {str(error).splitlines()[0]}")
            continue
        if requirement.url:
            item.wrong(
                f"{text!r} names a URL; layers are locked from an index: write {requirement.name} and a version"
            )
        yield text


def _texts(value: Value | None, what: str, one: str, pattern: str = "") -> tuple[str, ...]:
    if value is None:
        return ()
    found = [item.text(one, pattern=pattern) for item in value.items(what)]
    for text in {text for text in found if text and found.count(text) > 1}:
        value.wrong(f"names {text!r} twice")
    return tuple(filter(None, found))


def _share(value: Value) -> Share:
    if value.raw:
        return Share(
            public=value.choice(("private", "public"), "private, public, {accounts: …} or {organization: …}")
            == "public"
        )
    fields = value.fields(SHARE)
    accounts = []
    for item in fields["accounts"].items("account numbers") if "accounts" in fields else []:
        # as written: YAML reads 012345678901 as an octal number
        if re.fullmatch(r"\d{12}", item.raw):
            accounts.append(item.raw)
        else:
            item.wrong(f"{item.raw or item.kind()} is not an account number: 12 digits")
    organization = ""
    if "organization" in fields:
        organization = fields["organization"].text(
            "an organization's id", pattern=r"o-[a-z0-9]{10,32}", rule="o- and 10 to 32 letters or digits"
        )
    return Share(accounts=tuple(accounts), organization=organization)
