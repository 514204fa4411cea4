"""`main.handler`: serves the Blueprint (or app) `routes` of the function's routes.py."""

from __future__ import annotations

from routes import routes

from lambda_wsgi import handle_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _app(found: Any) -> Any:
    """A WSGI app is used as it is; a Flask Blueprint is registered in an app of its own."""
    if callable(found):
        return found
    from flask import Flask

    app = Flask(found.import_name)
    app.register_blueprint(found)
    return app


app = _app(routes)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return handle_request(app, event, context)
