"""Build AWS Lambda layers from one layers.yaml."""

__version__ = "0.1.0"
