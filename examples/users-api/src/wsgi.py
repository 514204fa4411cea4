"""For `flask run`, which looks here; on Lambda, lambda-wsgi puts the Blueprint into an app by itself."""

from flask import Flask
from routes import routes

app = Flask(__name__)
app.register_blueprint(routes)
