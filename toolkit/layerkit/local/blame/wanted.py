"""What an import wanted: the distribution that would bring it, what it may have meant, and what the index has."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from packaging.utils import canonicalize_name

from layerkit.errors import LayerkitError
from layerkit.local.blame import packs, standard
from layerkit.local.blame.scene import Scene, shown
from layerkit.local.blame.trace import Frame

Index = Callable[[str], str | None]  # a requirement -> the newest version that the index has; may raise LayerkitError
RELOCK = "layerkit lock && layerkit build"
ALIKE = 0.75  # of difflib: "reqeusts" and "requests" have 0.875
IMPORT = re.compile(r"\s*import\s+([\w.]+)")
FROM = re.compile(r"\s*from\s+([\w.]+)\s+import\s+\(?\s*([\w, ]*)")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One module that was not found, and the frames of the import."""

    module: str
    scene: Scene
    frames: Sequence[Frame]
    index: Index

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    @cached_property
    def wanted(self) -> list[str]:
        """The module, and more of its name where the line that imports it has more, the longest first."""
        code = self.frames[-1].code if self.frames else ""
        names = [self.module]
        if match := FROM.match(code):
            names += [f"{match[1]}.{name}" for name in re.findall(r"\w+", match[2])] + [match[1]]
        elif match := IMPORT.match(code):
            names.append(match[1])
        found = {name for name in names if f"{name}.".startswith(f"{self.module}.")}
        return sorted(found, key=lambda name: (-name.count("."), name))

    @cached_property
    def requirements(self) -> list[str]:
        """What would bring it, the likeliest first."""
        known = standard.known(self.wanted)
        return [known] if known else standard.guessed(self.wanted)

    @cached_property
    def names(self) -> list[str]:
        """Normalised names of these distributions."""
        return [canonicalize_name(re.split(r"[<>=!~ ]", text)[0]) for text in self.requirements]

    def gone(self) -> str:
        why = standard.told(self.top, self.scene.target.python)
        known = standard.known([self.module])
        return f"{why}; {self.asked(known, certain=True) if known else 'change the import'}" if why else ""

    def misspelt(self) -> str:
        """What is spelled alike: among what the function can import, then among what many people import."""
        if standard.known(self.wanted):
            return ""
        target = self.scene.target
        if own := self._alike(packs.module_names(self.scene.source, target)):
            found = packs.module_file(self.scene.source, own, target)
            file = f" ({shown(self.scene.source[found])})" if found in self.scene.source else ""
            return f"nothing has {self.module!r}; did you mean {own!r}{file}?"
        for pack in (*self.scene.attached, *self.scene.others):
            if name := self._alike(packs.module_names(pack.below, target)):
                return self._or_else(f"{name!r} of the layer {pack.key!r}")
        if name := self._alike(standard.modules(target.python)):
            return self._or_else(f"{name!r} of the standard library")
        if name := self._alike(standard.popular()):
            return self._or_else(repr(name))
        return ""

    def _alike(self, modules: Iterable[str]) -> str:
        close = difflib.get_close_matches(self.top, set(modules) - {self.top}, n=1, cutoff=ALIKE)
        return close[0] if close else ""

    def _or_else(self, meant: str) -> str:
        """A name that is like another may be a name of its own (ujson), or what somebody made of a misspelling."""
        asked = self.asked(self.requirements[0], certain=False)
        return f"nothing has {self.module!r}; did you mean {meant}?" + (f" Else: {asked}" if asked else "")

    def on_the_index(self) -> str:
        known = standard.known(self.wanted)
        for pack in self.scene.attached:
            for one in pack.distributions:
                if one.name in self.names:
                    return f"{one} of the layer {pack.key!r} has no {self.module!r}: it is of another version"
        for requirement in self.requirements:
            said = self.asked(requirement, certain=bool(known) or standard.is_shared(self.wanted))
            if said:
                return said
        asked = " or ".join(self.requirements)
        return (
            f"no layer of this project has {self.module!r}, and the index has no {asked}: check its spelling, or add "
            f"the distribution that brings it to the requirements of a layer"
        )

    def asked(self, requirement: str, *, certain: bool) -> str:
        """What the index says, and what to do; "" where it has none."""
        try:
            version = self.index(requirement)
        except LayerkitError as error:
            return (
                f"no layer of this project has {self.module!r}, and the index cannot be asked ({error.what}): "
                f"add {requirement} to {self._somewhere()}, then {RELOCK}"
            )
        if not version:
            return ""
        if certain:
            return (
                f"{self.module!r} is of {requirement}, of which the index has {version}: add {requirement} to "
                f"{self._somewhere()}, then {RELOCK}"
            )
        return (
            f"no layer of this project has {self.module!r}; the index has a distribution named {requirement} "
            f"{version}: if it is the one you mean, add {requirement} to {self._somewhere()}, then {RELOCK}"
        )

    def _somewhere(self) -> str:
        """Where a requirement may be added: a layer that the function attaches."""
        keys = [pack.key for pack in self.scene.attached if pack.key in self.scene.project.layers]
        keys.sort(key=lambda key: not self.scene.project.layers[key].requirements)
        return f"layers.{keys[0]}.requirements" if keys else f"the requirements of a layer in {self.scene.at}.layers"
