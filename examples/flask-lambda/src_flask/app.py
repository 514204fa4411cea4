"""One object for both worlds: `flask run` serves `app`, and Lambda calls it (handler: app.app)."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from lambda_wsgi import FlaskLambda

app = FlaskLambda(__name__)


@app.get("/")
def form() -> ResponseReturnValue:
    return render_template("form.html")


@app.post("/")
def greet() -> ResponseReturnValue:
    name = request.form.get("name", "").strip()
    if not name:
        return render_template("form.html", error="Please tell your name."), 400
    return redirect(url_for("greeting", name=name), 303)


@app.get("/greeting")
def greeting() -> ResponseReturnValue:
    return render_template("greeting.html", name=request.args.get("name", "stranger"))


@app.get("/api/greeting")
def greeting_json() -> ResponseReturnValue:
    return {"greeting": f"Hello, {request.args.get('name', 'stranger')}!"}
