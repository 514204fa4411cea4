# main.handler: the function's own WSGI app (lambda_wsgi/_start.py finds it)

from lambda_wsgi import handler as handler
