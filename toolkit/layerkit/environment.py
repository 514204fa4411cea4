"""The build container's part of layers.yaml: its image, its time, and what a layer's builds find in it."""

from __future__ import annotations

import re

from layerkit.model import Environment
from layerkit.reader import Value

CONTAINER = ("image", "step_minutes")
BUILD = ("network", "pack_libraries")  # what may stand under `defaults`, too
NETWORKS = {"default": True, "none": False}
# other people's words: YAML's yes/no values, its null, and Docker's drivers
OTHER_NETWORKS = {
    **dict.fromkeys(("false", "no", "off", "null", "~", "disabled"), "none"),
    **dict.fromkeys(("true", "yes", "on", "enabled", "bridge", "host"), "default"),
}
STEP_MINUTES = (1, 1440)  # one step; a day is longer than any CI lets a job be
DEFAULT_STEP_MINUTES = 30

# never an option of the package manager, nor a glob, a group or a file's path
PACKAGE = r"[A-Za-z0-9][A-Za-z0-9+._:~-]*"

# The grammar of distribution/reference, Docker's own, with {runtime} and {architecture} as letters.  What stands
# before the first slash is a registry if it has a dot or a port; {runtime} would give it a dot that nobody sees, and
# no registry's name may have the underscore of x86_64: so neither stands there.
_STANDS = r"\{(?:runtime|architecture)\}"
_LABEL = r"[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*"
_REGISTRY = rf"(?=[^/]*[.:]|localhost/){_LABEL}(?:\.{_LABEL})*(?::[0-9]+)?/"
_LETTERS = rf"(?:[a-z0-9]|{_STANDS})+"
_COMPONENT = rf"{_LETTERS}(?:(?:\.|__?|-+){_LETTERS})*"
_TAG = rf"(?:[A-Za-z0-9_]|{_STANDS})(?:[A-Za-z0-9_.-]|{_STANDS}){{0,127}}"
IMAGE = rf"(?![^/{{]*\{{[^/]*/)(?:{_REGISTRY})?{_COMPONENT}(?:/{_COMPONENT})*(?::{_TAG})?(?:@sha256:[0-9a-f]{{64}})?"


def container(fields: dict[str, Value]) -> tuple[str, int]:
    """The image's reference ("" is the default's) and the seconds that one step may take."""
    reference = _image(fields["image"]) if "image" in fields else ""
    minutes = fields["step_minutes"].number(*STEP_MINUTES) if "step_minutes" in fields else DEFAULT_STEP_MINUTES
    return reference, minutes * 60


def environment(fields: dict[str, Value]) -> Environment:
    """What the fields of a layer, over those of the defaults, say of its builds."""
    network = "default"
    if "network" in fields:
        network = fields["network"].choice(tuple(NETWORKS), "a network for builds", others=OTHER_NETWORKS) or network
    names = fields["system_packages"].items("system packages") if "system_packages" in fields else []
    rule = "write letters, digits and + . _ : ~ -, a letter or digit first"
    packages = {name.text("the name of a system package", pattern=PACKAGE, rule=rule) for name in names}
    return Environment(
        system_packages=tuple(sorted(packages)),
        network=NETWORKS[network],
        pack_libraries=fields["pack_libraries"].flag() if "pack_libraries" in fields else True,
    )


def nothing_to_build(fields: dict[str, Value]) -> None:
    """Note what a layer without requirements says of builds.  Its own fields alone: defaults hold for others, too."""
    words = "there is nothing to build: the layer has no requirements"
    packages, network = fields.get("system_packages"), fields.get("network")
    if packages and packages.is_list and not packages.is_empty:
        packages.wrong(words)
    if network and network.raw == "none":
        network.wrong(words)


def _image(value: Value) -> str:
    text = value.raw
    if value.is_mapping:  # {runtime}, unquoted, is one
        value.wrong("must be an image reference, not a mapping; quote a text that begins with {")
    elif "://" in text:  # not shown, and nor is the next: either may hold a password
        value.wrong("is a URL; write an image reference, as registry.example.com/build:1")
    elif re.search(r"@(?!sha256:)", text):
        value.wrong("is not an image reference: after @ stands nothing but sha256: and 64 hexadecimal digits")
    else:
        return value.text("an image reference", pattern=IMAGE, rule=_why_not(text))
    return ""


def _why_not(text: str) -> str:
    """The likeliest reason why `text` is no image reference."""
    name, at, _ = text.partition("@")
    folders, slash, last = name.rpartition("/")
    path = folders + slash + last.partition(":")[0]
    first, _, rest = path.partition("/")
    if re.search(r"[{}]", re.sub(_STANDS, "", text)):
        return "only {runtime} and {architecture} stand for something"
    if re.match(r"[^/{]*\{[^/]*/", text):
        return "{runtime} and {architecture} cannot stand before the first /, where the registry stands"
    if " " in text or not text.isprintable():
        return "it holds white space or a control character"
    if re.search(r"[A-Z]", rest if rest and re.search(r"[.:]", first) else path):
        return "write it in lower case; a tag alone may have capitals"
    if at:
        return "after @ stands nothing but sha256: and 64 hexadecimal digits, lower case"
    return "write it as registry.example.com/build:1"
