"""EC2 and Account: which regions there are."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from aws_standin.asked import Asked, Operation, failed, invalid
from aws_standin.data import BY_DEFAULT, regions_beside
from aws_standin.nouns import Answer, Refused, Request, answer
from aws_standin.refusals import xml

# Account API reference, ListRegions
OPTED = ("ENABLED", "ENABLING", "DISABLING", "DISABLED", "ENABLED_BY_DEFAULT")


def form(request: Request) -> dict[str, list[str]]:
    return parse_qs(request.body.decode("latin-1")) | parse_qs(request.target.partition("?")[2])


def action(request: Request) -> str:
    return form(request).get("Action", ["?"])[0]


def ec2(request: Request) -> Operation:
    return Operation(name=action(request), resource="", work=_describe_regions)


def account(request: Request) -> Operation:
    return Operation(name="ListRegions" if request.path == "/listRegions" else "?", resource="", work=_list_regions)


def _describe_regions(asked: Asked) -> Answer:
    if action(asked.request) != "DescribeRegions":
        raise Refused("InvalidAction", f"The action {action(asked.request)} is not valid for this web service.")
    everything = form(asked.request).get("AllRegions", [""])[0] == "true"
    disabled, items = set(asked.world.options.disabled), []
    for region in regions_beside(asked.caller.region):
        state = "opt-in-not-required" if region in BY_DEFAULT else "opted-in"
        if region in disabled:
            if not everything:
                continue
            state = "not-opted-in"
        items.append(
            f"<item><regionName>{region}</regionName><regionEndpoint>ec2.{region}.amazonaws.com</regionEndpoint>"
            f"<optInStatus>{state}</optInStatus></item>"
        )
    return xml(
        '<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><regionInfo>'
        f"{''.join(items)}</regionInfo></DescribeRegionsResponse>"
    )


def _list_regions(asked: Asked) -> Answer:
    if asked.request.path != "/listRegions":
        raise Refused("NotImplemented", "not in this stand-in", 501)
    wanted, disabled = asked.json(), set(asked.world.options.disabled)
    count = wanted.get("MaxResults", 50)
    if not 1 <= count <= 50:
        raise invalid(failed(count, "maxResults", "have value between 1 and 50"))
    states = wanted.get("RegionOptStatusContains") or OPTED
    if set(states) - set(OPTED):
        raise invalid(failed(states, "regionOptStatusContains", f"satisfy enum value set: {list(OPTED)}"))
    rows = []
    for region in regions_beside(asked.caller.region):
        state = "ENABLED_BY_DEFAULT" if region in BY_DEFAULT else "ENABLED"
        rows.append({"RegionName": region, "RegionOptStatus": "DISABLED" if region in disabled else state})
    rows = [row for row in rows if row["RegionOptStatus"] in states]
    token = wanted.get("NextToken", "0")
    start = int(token) if re.fullmatch(r"\d{1,6}", token) else len(rows)
    more = {"NextToken": str(start + count)} if start + count < len(rows) else {}
    return answer({"Regions": rows[start : start + count], **more})
