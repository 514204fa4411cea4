"""The published ARNs as people and other tools take them: one form each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from layerkit.arns.choice import select
from layerkit.arns.documents import cdk, json_text, sam, serverless
from layerkit.arns.hcl import terraform, tfvars
from layerkit.arns.lines import env, github_output
from layerkit.arns.people import markdown, table
from layerkit.publish.published import Entry

__all__ = ["FORMS", "select"]

FORMS: Mapping[str, Callable[[Sequence[Entry]], str]] = {
    "table": table,
    "json": json_text,
    "env": env,
    "terraform": terraform,
    "tfvars": tfvars,
    "sam": sam,
    "cdk": cdk,
    "serverless": serverless,
    "github-output": github_output,
    "markdown": markdown,
}
