"""The ARNs as JSON and YAML: for programs, SAM, the CDK and Serverless."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from layerkit.arns.names import by_region, names, spelled
from layerkit.publish.published import Entry


def _arns(entries: Sequence[Entry]) -> dict[str, dict[str, str]]:
    return {
        region: {name: entry.arn for name, entry in found.items()} for region, found in by_region(entries).items()
    }


def json_text(entries: Sequence[Entry]) -> str:
    """{"us-east-1": {"flask": ARN}}; all else that is known of each version is in published.json."""
    return json.dumps(_arns(entries), indent=2) + "\n"


def cdk(entries: Sequence[Entry]) -> str:
    """The same below `layerArns`: context for `new App({context: …})`, for cdk.json, or as cdk.context.json."""
    return json.dumps({"layerArns": _arns(entries)}, indent=2) + "\n"


def serverless(entries: Sequence[Entry]) -> str:
    """A YAML file for `${file(layer-arns.yml):${aws:region}.flask}`."""
    return "# Made by: layerkit arns --format serverless\n" + _yaml(_arns(entries))


def sam(entries: Sequence[Entry]) -> str:
    """The section Mappings of a SAM or CloudFormation template: `!FindInMap [LayerArns, !Ref AWS::Region, Flask]`."""
    arns = _arns(entries)
    spelling = spelled(names(arns.values()), _mapped)
    regions = {region: {spelling[name]: arn for name, arn in found.items()} for region, found in arns.items()}
    return "# Made by: layerkit arns --format sam\n" + _yaml({"Mappings": {"LayerArns": regions}})


def _mapped(name: str) -> str:
    """Letters and digits, which is all that CloudFormation takes for a key of a mapping: ServerlessWsgi."""
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name))


class _Dumper(yaml.SafeDumper):
    """Quotes also what YAML 1.2 or CloudFormation would read as a number, and YAML 1.1 does not: 1e3, 0o17."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = re.fullmatch(r"[A-Za-z]+[A-Za-z0-9_:-]*[A-Za-z0-9]", text) is not None
    plain = plain and yaml.safe_load(text) == text  # which "no" and "null" are not
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def _yaml(data: Mapping[str, Any]) -> str:
    """Block style; keys stay in their order, and long lines whole."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=10**9)
