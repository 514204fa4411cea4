"""What layers.yaml says of publishing: to which regions, and for whom."""

from __future__ import annotations

import re

from layerkit.model import Share
from layerkit.reader import Value

PUBLISH = ("regions", "share")
SHARE = ("accounts", "organization")
REGION = r"[a-z]{2,}(-[a-z]+)+-[0-9]+"
ACCOUNT = r"[0-9]{12}"
ORGANIZATION = r"o-[a-z0-9]{10,32}"


def publishing(value: Value) -> tuple[tuple[str, ...], Share]:
    """The regions, and who may use what is published there."""
    fields = value.fields(PUBLISH)
    found = fields["regions"].items("regions") if "regions" in fields else []
    regions = tuple(region.text("an AWS region", pattern=REGION) for region in found)
    return regions, _share(fields["share"]) if "share" in fields else Share()


def _share(value: Value) -> Share:
    if not value.is_mapping:
        words = "private, public, {accounts: [...]} or {organization: o-...}"
        return Share(public=value.choice(("private", "public"), words) == "public")
    fields = value.fields(SHARE, empty="names neither accounts nor an organization; write private")
    accounts = []
    for item in fields["accounts"].items("accounts", empty="names no account") if "accounts" in fields else []:
        # as written: YAML reads 012345670123 as an octal number
        if re.fullmatch(ACCOUNT, item.raw):
            accounts.append(item.raw)
        else:
            item.wrong(f"{item.raw!r} is not the number of an account: 12 digits")
    organization = ""
    if "organization" in fields:
        organization = fields["organization"].text(
            "an organization's id", pattern=ORGANIZATION, rule="o- and 10 to 32 letters or digits"
        )
    return Share(accounts=tuple(accounts), organization=organization)
