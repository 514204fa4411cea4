# wsgi_handler.handler: the same as main.handler, for a function that has a main.py of its own

from lambda_wsgi import handler as handler
