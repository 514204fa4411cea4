"""A module that was not found -> why it is not there, and which layer would have to provide it.

What is known for certain comes first: the project's own zips and files, then what is spelled alike, then the index.
The index is asked last because anybody may have registered there what somebody else misspells.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from layerkit import targets
from layerkit.local.blame import packs, standard
from layerkit.local.blame.packs import Pack
from layerkit.local.blame.scene import OPT, shown
from layerkit.local.blame.wanted import ALIKE, RELOCK, Wanted
from layerkit.sandbox import lent
from layerkit.sandbox.unpacking import source_files


@dataclass(frozen=True, kw_only=True)
class Missing(Wanted):
    """Each look gives its clauses, or "" where it finds nothing."""

    def advice(self) -> str:
        """Why, and what to do: clauses in one line."""
        off = self._layers_off()
        if off and any(pack.finds(self.module) for pack in self.scene.attached):
            return off
        for look in (self._hidden, self._unusable, self._of_another_layer, self._not_built, self._of_an_extra,
                     self._outside, self._of_the_runtime, self.gone, self._inside, self.misspelt):  # fmt: skip
            if found := look():
                break
        else:
            found = self.on_the_index()
        return f"{off}; then: {found}" if off else found

    # -- where it is looked for, the most certain first

    def _layers_off(self) -> str:
        if "PYTHONPATH" not in self.scene.runnable.variables or not self.scene.attached:
            return ""
        own = "PYTHONPATH" in self.scene.function.environment
        setting = f"{self.scene.at}.environment" if own else "--env"
        return f"PYTHONPATH is set, and so Lambda's Python looks into no layer: take it out of {setting}"

    def _hidden(self) -> str:
        """The function's own module of the same name stands before the layer's package."""
        if "." not in self.module:
            return ""
        own = packs.module_file(self.scene.source, self.top, self.scene.target)
        holder = next((pack for pack in self.scene.attached if pack.finds(self.module)), None)
        if own in self.scene.source and holder:
            file = shown(
                self.scene.source[own] if not own.endswith("/__init__.py") else self.scene.source[own].parent
            )
            return f"{file} hides the package {self.top!r} of the layer {holder.key!r}: rename it"
        return ""

    def _unusable(self) -> str:
        """An attached zip has it, in a form that this Python does not load."""
        target = self.scene.target
        for pack in self.scene.attached:
            if found := pack.finds(self.module):
                if elsewhere := packs.not_here(pack.machine(found), target):
                    return f"the layer {pack.key!r} has {OPT}{found}, {elsewhere}"
                why = "which Lambda's user may not read" if pack.is_closed(found) else "and Python did not find it"
                return f"the layer {pack.key!r} has {OPT}{found}, {why}: layerkit verify {pack.key} tells more"
            if found := pack.for_others(self.module):
                folder = re.search(r"python3\.[0-9]+", found)
                return (
                    f"the layer {pack.key!r} has {OPT}{found}, which is for {folder[0] if folder else 'another'}; "
                    f"the function runs on {target.runtime}: layerkit verify {pack.key}"
                )
            if found := packs.foreign(pack.below, self.module, target):
                place = pack.below[found].path
                return f"the layer {pack.key!r} has {OPT}{place}, {self._no_loader()}: layerkit verify {pack.key}"
        if found := packs.foreign(self.scene.source, self.module, target):
            return (
                f"there is {shown(self.scene.source[found])}, {self._no_loader()}: put it into a layer's requirements"
            )
        return ""

    def _no_loader(self) -> str:
        return f"which {self.scene.target.runtime} on {self.scene.target.architecture} does not load"

    def _of_another_layer(self) -> str:
        having = [(self._weight(pack), pack) for pack in self.scene.others if pack.finds(self.module)]
        if not having:
            return ""
        pack = min(having, key=lambda one: (one[0], one[1].key))[1]
        below = self.scene.project.used_by(pack.key)
        attached = {one.key for one in self.scene.attached}
        adding = [*(key for key in reversed(below) if key not in attached), pack.key]
        limit = targets.limit("layers_per_function")
        if len(attached) + len(adding) > limit:
            return (
                f"the layer {pack.key!r} has {self.module!r}, but the function has {len(attached)} layers already, "
                f"and Lambda takes {limit}: add what it needs to the requirements of one of those"
            )
        owner = pack.owner(pack.finds(self.module))
        what = f" ({owner})" if owner else ""
        first = f", after {' and '.join(map(repr, adding[:-1]))}, which it uses" if len(adding) > 1 else ""
        return f"the layer {pack.key!r} has {self.module!r}{what}: add it to {self.scene.at}.layers{first}"

    def _weight(self, pack: Pack) -> tuple[bool, int]:
        """The layer that was made for it: own source first, then the one with the fewest distributions."""
        layer = self.scene.project.layers[pack.key]
        return layer.source is None, len(pack.distributions)

    def _not_built(self) -> str:
        """It is declared, or locked, and no zip in dist/ has it yet."""
        attached = [pack.key for pack in self.scene.attached]
        layers = self.scene.project.layers
        keys = [key for key in dict.fromkeys([*attached, *layers]) if key in layers]
        for key in filter(self.scene.is_for, keys):
            if found := self._not_packed(key):
                return found if key in attached else f"{found}, and add it to {self.scene.at}.layers"
        for key in keys:
            if not self.scene.is_for(key) and (required := self._required(key)):
                target = f"{self.scene.target.runtime} on {self.scene.target.architecture}"
                return (
                    f"the layer {key!r} requires {required}, and is not declared for {target}: add that to its "
                    f"runtimes and architectures, then {RELOCK}, and add it to {self.scene.at}.layers"
                )
        return ""

    def _not_packed(self, key: str) -> str:
        """What the layer will have once it is built."""
        layer = self.scene.project.layers[key]
        pack = next((one for one in (*self.scene.attached, *self.scene.others) if one.key == key), None)
        packed = {one.name: one.version for one in pack.distributions} if pack else {}
        lacking = "its zip has it not" if pack else "it has no zip"
        if layer.source and self._is_in(layer.source):
            return f"the layer {key!r} has {self.module!r} in {shown(layer.source)}, {lacking}: layerkit build"
        locked = self.scene.locked(key)
        for name in set(self.names) & locked.keys():
            if packed.get(name) != locked[name]:
                lacking = f"its zip has {packed[name]}" if name in packed else lacking
                return f"the lock has {name} {locked[name]} for the layer {key!r}, {lacking}: layerkit build"
        required = self._required(key)
        used = {name for one in self.scene.project.used_by(key) for name in self.scene.locked(one)}
        if required and required not in packed.keys() | locked.keys() | used:
            return f"the layer {key!r} requires {required}, which is not locked yet: {RELOCK}"
        return ""

    def _required(self, key: str) -> str:
        """The layer's requirement that would bring it."""
        found = set(self.names) & set(map(_name, self.scene.project.layers[key].requirements))
        return min(found, default="")

    def _is_in(self, folder: Path) -> bool:
        return bool(packs.module_file({path for path, _, _ in source_files(folder)}, self.module, self.scene.target))

    def _of_an_extra(self) -> str:
        """A layer's module imports it, and its distribution wants it for an extra."""
        path = self.frames[-1].path if self.frames else ""
        pack = self.scene.holder(path.removeprefix(OPT)) if path.startswith(OPT) else None
        owner = pack.owner(path.removeprefix(OPT)) if pack else None
        if pack is None or owner is None:
            return ""
        environment = self.scene.target.marker_environment()
        for text in owner.requires:
            try:
                wanted = Requirement(text)
                if canonicalize_name(wanted.name) not in self.names or wanted.marker is None:
                    continue
                for extra in owner.extras:
                    if wanted.marker.evaluate({**environment, "extra": extra}):
                        return (
                            f"{owner} of the layer {pack.key!r} brings {wanted.name} with its extra {extra!r} alone: "
                            f"write {owner.name}[{extra}] in layers.{pack.key}.requirements, then {RELOCK}"
                        )
            except (ValueError, RecursionError):
                continue
        return ""

    def _outside(self) -> str:
        stem = self.module.replace(".", "/")
        found = self.scene.elsewhere({f"{stem}.py", f"{stem}/__init__.py"})
        folder = self.scene.function.source
        if found is None:
            return ""
        importer = f"{self.scene.shown(self.frames[-1].path)} imports" if self.frames else "the function imports"
        outside = f"which is not in the function's source {shown(folder)}/" if folder else "and it has no source"
        return (
            f"{importer} {self.module!r}; there is {shown(found)}, {outside}: move it there, or make its folder the "
            f"source of a layer"
        )

    def _of_the_runtime(self) -> str:
        if lent.is_of_runtime(self.module) and "." not in self.module:
            return (
                f"Lambda's own runtime has {self.module!r}, and this place has it not: put it into a layer to be sure"
            )
        return ""

    def _inside(self) -> str:
        """The package is there, and has no such module."""
        package, _, name = self.module.rpartition(".")
        if not package:
            return ""
        places: list[tuple[str, list[str]]] = []
        if packs.module_file(self.scene.source, package, self.scene.target):
            places.append((f"{package!r} in the function's source", list(self.scene.source)))
        for pack in self.scene.attached:
            found = pack.finds(package)
            if found and not found.endswith("/"):  # a namespace package may have more in other distributions
                owner = pack.owner(found)
                what = f"{owner} of the layer {pack.key!r}" if owner else f"{package!r} of the layer {pack.key!r}"
                places.append((what, list(pack.below)))
        for what, files in places:
            modules = {one.rpartition(".")[2] for one in packs.module_names(files, self.scene.target, package)}
            close = difflib.get_close_matches(name, modules, n=1, cutoff=ALIKE)
            if close:
                return f"{what} has no {name!r}; did you mean {f'{package}.{close[0]}'!r}?"
        if places and not (standard.is_shared(self.wanted) or standard.known(self.wanted)):
            return f"{places[0][0]} has no {name!r}: it is of another version, or misspelt"
        return ""


def _name(requirement: str) -> str:
    try:
        return canonicalize_name(Requirement(requirement).name)
    except InvalidRequirement:
        return ""
