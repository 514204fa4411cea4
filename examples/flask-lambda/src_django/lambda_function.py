"""What Lambda calls: the application of wsgi.py, which knows nothing of Lambda."""

from greetings.wsgi import application

from lambda_wsgi import LambdaWSGI

handler = LambdaWSGI(application)
