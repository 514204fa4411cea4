"""Function URLs."""

from __future__ import annotations

from layerkit.fronts.base import Front
from layerkit.fronts.http_api import HttpApi2
from layerkit.fronts.nouns import EVENT_LIMIT, Event, Request, Response, Trouble


class FunctionUrl(HttpApi2):
    """Function URL: payload 2.0 with a path that is not decoded, and cookies twice (LIVE)."""

    name = "function-url"
    own_domain = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws"
    raw_path = True
    cookie_header = True
    failure = 502  # docs.aws.amazon.com/lambda/latest/dg/urls-monitoring.html
    max_seconds = 900  # no time of its own: the function's
    body_limit = EVENT_LIMIT

    @property
    def stage(self) -> str:
        return "$default"  # LIVE

    @property
    def route(self) -> str:
        return "$default"

    def _raw_path(self, request: Request) -> str:
        return request.path or "/"

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        return Front._headers(self, request)  # TOOLS, lambdaFunctionUrlEvent: no length on GET

    def _context(self, request: Request) -> Event:
        return super()._context(request) | {"accountId": "anonymous", "requestId": request.request_id}  # LIVE

    def _failed(self, trouble: Trouble) -> Response:
        if trouble in ("request", "event"):
            # status and words are the Lambda API's (InvokeFunction).  How the URL says it: documented nowhere
            said = (
                f'{{"Message":"Request must be smaller than {EVENT_LIMIT} bytes for the InvokeFunction operation"}}'
            )
            kind = (("Content-Type", "application/json"), ("x-amzn-ErrorType", "RequestEntityTooLargeException"))
            return Response(status=413, headers=kind, body=said.encode())
        # github.com/localstack/localstack tests/aws/services/lambda_/test_lambda.py, verified on AWS:
        # test_lambda_url_invocation_exception; TRIALS.  Its Content-Type: documented nowhere; it is text
        return Response(status=502, headers=(("Content-Type", "text/plain"),), body=b"Internal Server Error")
