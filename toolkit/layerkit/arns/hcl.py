"""The ARNs for Terraform and OpenTofu, as `terraform fmt` would write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from layerkit.arns.names import by_region
from layerkit.publish.published import Entry

ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def terraform(entries: Sequence[Entry]) -> str:
    """A .tf file: `local.layer_arns[var.region]["flask"]`."""
    return f"# Made by: layerkit arns --format terraform\nlocals {{\n{_assigned(entries, '  ')}}}\n"


def tfvars(entries: Sequence[Entry]) -> str:
    """A .auto.tfvars file: the value of a variable `layer_arns`, of the type map(map(string))."""
    return f"# Made by: layerkit arns --format tfvars\n{_assigned(entries)}"


def _assigned(entries: Sequence[Entry], indent: str = "") -> str:
    lines = [f"{indent}layer_arns = {{\n"]
    for region, found in by_region(entries).items():
        lines.append(f"{indent}  {quoted(region)} = {{\n")
        lines += _aligned({quoted(name): quoted(entry.arn) for name, entry in found.items()}, f"{indent}    ")
        lines.append(f"{indent}  }}\n")
    return "".join([*lines, f"{indent}}}\n"])


def _aligned(values: Mapping[str, str], indent: str) -> list[str]:
    width = max(map(len, values))
    return [f"{indent}{name.ljust(width)} = {value}\n" for name, value in values.items()]


def quoted(text: str) -> str:
    """A quoted template of HCL that is this text (https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md)."""
    letters = [ESCAPES.get(letter, letter if letter.isprintable() else _point(letter)) for letter in text]
    return '"' + "".join(letters).replace("${", "$${").replace("%{", "%%{") + '"'


def _point(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"
