"""What layers.yaml says of verifying: modules that must import, licenses that are allowed, rules that are waived."""

from __future__ import annotations

from collections.abc import Collection

from layerkit.model import Checks
from layerkit.reader import Value, nearest

DEFAULTS = ("licenses", "waive")
LAYER = ("imports", *DEFAULTS)
FUNCTION = ("waive",)
SOME = r"(?s).*\S.*"  # any text but white space
MODULE = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*"
LICENSE = r"[A-Za-z0-9][A-Za-z0-9.+-]*( WITH [A-Za-z0-9.-]+)?"  # an SPDX identifier


def checks(own: Value | None, known: Collection[str], defaults: Value | None = None) -> Checks:
    """What `own` says of these `known` keys, over the defaults; a layer's waivers stand beside those of all."""
    general = defaults.fields(DEFAULTS) if defaults else {}
    special = own.fields(known) if own else {}
    fields = general | special
    imports = fields["imports"].items("modules") if "imports" in fields else []
    licenses = fields["licenses"].items("SPDX identifiers", empty="allows none") if "licenses" in fields else []
    waivers: dict[str, str] = {}
    for given in (general, special):
        waivers |= _waivers(given["waive"]) if "waive" in given else {}
    modules = [item.text("a module's name, as package.module", pattern=MODULE) for item in imports]
    allowed = [item.text("an SPDX identifier, as BSD-3-Clause", pattern=LICENSE) for item in licenses]
    return Checks(
        imports=tuple(modules) if "imports" in fields else None,
        licenses=tuple(allowed) if "licenses" in fields else None,
        waivers=waivers,
    )


def _waivers(value: Value) -> dict[str, str]:
    from layerkit.verify.rules import rules

    found = {}
    for rule, reason in value.entries("a mapping of rules to reasons").items():
        if rule not in rules():
            reason.wrong(f"there is no rule {rule!r}{nearest(rule, rules())}")
        elif reason.is_empty or not reason.raw.strip():
            reason.wrong("write the reason, in words: it is shown each time")
        else:
            found[rule] = reason.text("the reason, in words", pattern=SOME)
    return found
