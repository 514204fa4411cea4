"""The Flask door: `flask run` on your machine; on Lambda the shim's layer hands it each request.

There is nothing of Lambda in it: the function's handler is the shim's `main.handler`, which finds `app` by
LAMBDA_WSGI_APP.
"""

from __future__ import annotations

import json
from typing import Any

import functions
from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

app = Flask(__name__)
app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # two habits of Flask's that the other door has not:
app.url_map.merge_slashes = False  # answering OPTIONS, and redirecting /zones//de to /zones/de


@app.get("/zones")
def zones() -> dict[str, Any]:
    return functions.zones()


@app.get("/zones/<code>")
def zone(code: str) -> dict[str, Any]:
    return functions.zone(code)


@app.get("/quote")
def quote() -> dict[str, Any]:
    return functions.quote(request.args.get("zone", ""), request.args.get("grams", ""))


@app.post("/orders")
def order() -> tuple[dict[str, Any], int]:
    return functions.order(request.get_data()), 201


@app.errorhandler(functions.Refused)
def refused(error: functions.Refused) -> tuple[dict[str, str], int]:
    return {"error": str(error)}, error.status


@app.errorhandler(HTTPException)
def http_error(error: HTTPException) -> Response:
    """Flask's own errors as JSON; their headers (Allow) stay."""
    response = error.get_response()
    response.data = json.dumps({"error": error.name})
    response.content_type = "application/json"
    return response
