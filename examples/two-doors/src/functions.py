"""What the service does: plain functions, which know nothing of HTTP, of Flask or of Lambda.

They take what a request can hold (texts, and whatever JSON can say), and give what JSON can say.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

HEAVIEST = 31_500  # grams


@dataclass(frozen=True, slots=True)
class Zone:
    name: str
    base: int  # cents for a parcel
    per_kilo: int  # cents for each kilogram that was begun


ZONES = {
    "at": Zone("Österreich", 1090, 90),
    "de": Zone("Deutschland", 549, 50),
    "jp": Zone("日本", 2890, 740),
}


class Refused(Exception):
    """What was asked for cannot be had; the text is for whoever asked."""

    status = HTTPStatus.BAD_REQUEST


class NotFound(Refused):
    status = HTTPStatus.NOT_FOUND


def zones() -> dict[str, Any]:
    return {"zones": [{"code": code, **asdict(zone)} for code, zone in ZONES.items()]}


def zone(code: str) -> dict[str, Any]:
    return {"code": code, **asdict(_zone(code))}


def quote(code: str, grams: str) -> dict[str, Any]:
    """What one parcel costs."""
    weight = int(grams) if grams.isascii() and grams.isdecimal() and len(grams) < 10 else None
    return {"code": code, "cents": _cents(_zone(code), weight)}


def order(body: bytes) -> dict[str, Any]:
    """What all parcels of an order cost: {"zone": "de", "parcels": [{"grams": 750}]}."""
    try:
        wanted = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("the body is not JSON") from None
    match wanted:
        case {"zone": str(code), "parcels": [_, *_] as parcels}:
            found = _zone(code)
            cents = [_cents(found, parcel.get("grams") if isinstance(parcel, dict) else None) for parcel in parcels]
            return {"zone": code, "parcels": len(parcels), "cents": sum(cents)}
    raise Refused("an order is an object with zone (text) and parcels (a list that is not empty)")


def _zone(code: str) -> Zone:
    try:
        return ZONES[code]
    except KeyError:
        raise NotFound(f"no such zone; there are {', '.join(ZONES)}") from None


def _cents(zone: Zone, grams: object) -> int:
    match grams:
        case int() if not isinstance(grams, bool) and 0 < grams <= HEAVIEST:
            return zone.base + zone.per_kilo * (-(-grams // 1000))
    raise Refused(f"grams is a whole number from 1 to {HEAVIEST}")
