"""The smallest Flask app on Lambda: one route, behind API Gateway, with serverless-wsgi."""

from flask import Flask
from serverless_wsgi import handle_request

app = Flask(__name__)


@app.route("/")
def hello():
    return {"message": "Hello from Flask on Lambda"}


def lambda_handler(event, context):
    return handle_request(app, event, context)
