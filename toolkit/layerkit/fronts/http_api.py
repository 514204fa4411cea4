"""HTTP APIs of API Gateway, with both payload formats."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import unquote, unquote_plus

from layerkit.fronts.gateway import Gateway
from layerkit.fronts.nouns import Event, Request, Response, Trouble
from layerkit.fronts.parts import encoded_body, filled, is_textual, joined, line_of, lists, parameters, text_of


class _HttpApi(Gateway):
    own_domain = "abc123.execute-api.eu-central-1.amazonaws.com"
    default_stage = "$default"
    failure = 500  # TOOL, ToApiGatewayErrorResponse
    # LIMITS; the time is with the function's init: github.com/serverless/serverless, issue 11222
    max_seconds = 30
    body_limit = 10 * 1024 * 1024

    @property
    def route(self) -> str:
        return self.setup.route or "$default"

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        # github.com/milliHQ/terraform-aws-next-js/pull/31, github.com/logandk/serverless-wsgi/issues/191: a length is
        # always there.  Transfer-Encoding then: documented nowhere; both would contradict each other, so dropped
        away = ("content-length", "transfer-encoding")
        lines = [(name, value) for name, value in super()._headers(request) if name.lower() not in away]
        return [*lines, ("Content-Length", str(len(request.body)))]

    def _text_or_base64(self, request: Request) -> tuple[str, bool]:
        # github.com/ministackorg/ministack/pull/766, verified on AWS (2.0): text/* and three more are text; a form,
        # and what has no Content-Type, is not
        return encoded_body(request, is_textual(request))

    def _failed(self, trouble: Trouble) -> Response:
        if trouble == "slow":  # letters and headers: github.com/cortexlabs/cortex/issues/1225
            return Response(status=503, body=b'{"message":"Service Unavailable"}')
        # TOOL, ToApiGatewayErrorResponse, ToHttpApiV2RequestTooLargeResponse: what is too large for Lambda.  What is
        # too large for the API: documented nowhere; the same
        status, message = 500, "Internal Server Error"
        if trouble in ("request", "event"):
            status, message = 413, "Request Entity Too Large"
        kind = (("Content-Type", "application/json"),)
        return Response(status=status, headers=kind, body=f'{{"message":"{message}"}}'.encode())

    def _parameters_of(self, path: str) -> dict[str, str] | None:
        """TOOL, UrlEncodedRouteParameter: decoded in both versions."""
        given = filled(self.route, path)
        return {name: unquote(value) for name, value in given.items()} if given else None


class HttpApi1(_HttpApi):
    """HTTP API, payload format 1.0."""

    name = "http-api-1.0"

    def _event(self, request: Request) -> Event:
        # TOOL, V1_UrlEncodedRouteParameter: encoded (github.com/middleapi/standard-server/pull/93 says decoded, and
        # its captures show 2.0).  A named stage is in it: github.com/dougmoscrop/serverless-http/pull/143; so is a
        # custom domain's mapping: API.  `resource` is the route: github.com/dherault/serverless-offline/pull/1175
        path = f"{self.mount}{request.path}" or "/"
        event = self._version_1(request, path, path, self.route, self._parameters_of(request.path))
        body, encoded = self._text_or_base64(request)
        event["version"] = "1.0"
        event["requestContext"].setdefault("authorizer", {"claims": None, "scopes": None})  # API's example
        return event | {"body": body or None, "isBase64Encoded": encoded}

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        # .../milliHQ/terraform-aws-next-js/pull/31: the client's names in lower case, the front's own in title case
        own = ["Host", "Content-Length", "User-Agent", "X-Amzn-Trace-Id"]
        own += ["X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto"]
        titles = {name.lower(): name for name in own}
        return [(titles.get(name.lower(), name.lower()), value) for name, value in super()._headers(request)]

    def _response(self, answer: Any, _payload: str, _request: Request) -> Response:
        found = self._mapping(answer)
        # www.repost.aws/knowledge-center/api-gateway-status-codes-http-api: 1.0 makes no assumptions, it answers 500
        status = self._status(found.get("statusCode"))
        lines = self._lists(found.get("multiValueHeaders") or {}) + self._single(found.get("headers") or {})
        if not any(name.lower() == "content-type" for name, _ in lines):
            lines.append(("Content-Type", "text/plain; charset=utf-8"))  # TOOL, GetDefaultContentType
        return Response(status=status, headers=tuple(lines), body=self._body(no_null(found)))


class HttpApi2(_HttpApi):
    """HTTP API, payload format 2.0."""

    name = "http-api"
    raw_query = True
    raw_path = False
    cookie_header: ClassVar[bool] = False

    def _event(self, request: Request) -> Event:
        # LIVE: the path is decoded, the query is not
        path = unquote(f"{self._prefix}{request.path}") or "/"
        cookies = [one for name, v in request.headers if name.lower() == "cookie" for one in text_of(v).split("; ")]
        lines = self._headers(request)
        headers = joined((n, v) for n, v in lines if self.cookie_header or n.lower() != "cookie")
        if self.cookie_header and cookies:
            headers["cookie"] = "; ".join(cookies)
        key = self.route if self.route == "$default" else f"ANY {self.route}"
        context = self._context(request) | {
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.client,
                "userAgent": request.header("user-agent") or "",
            },
            "routeKey": key,
            "time": request.time,
            "timeEpoch": request.milliseconds,
        }
        if self.setup.authorizer is not None:
            context["authorizer"] = self._authorizer()
        event: Event = {
            "version": "2.0",
            "routeKey": key,
            "rawPath": self._raw_path(request),
            "rawQueryString": request.query,
            "headers": headers,
            "requestContext": context,
        }
        # API, LIVE: what there is none of is left out
        pairs = [(unquote_plus(name), unquote_plus(value)) for name, value in parameters(request.query)]
        if pairs:
            event["queryStringParameters"] = {name: ",".join(values) for name, values in lists(pairs).items()}
        if cookies:
            event["cookies"] = cookies
        if given := self._parameters_of(request.path):
            event["pathParameters"] = given
        body, encoded = self._text_or_base64(request)
        if body:
            event["body"] = body
        return event | {"isBase64Encoded": encoded}

    @property
    def _prefix(self) -> str:
        """API: "rawPath won't provide the API mapping value"; a named stage is in it, on a custom domain too:
        github.com/CodeGenieApp/serverless-express/issues/465.  Others say that custom domains carry none: no
        stage_in_path."""
        if self.stage == "$default" or (self.setup.domain and not self.setup.stage_in_path):
            return ""
        return f"/{self.stage}"

    def _raw_path(self, request: Request) -> str:
        return unquote(f"{self._prefix}{request.path}") or "/"

    def _response(self, answer: Any, payload: str, _request: Request) -> Response:
        if not isinstance(answer, dict) or "statusCode" not in answer:
            # API: "API Gateway makes assumptions": 200, application/json, the body is what the function returned; a
            # text without its quotes, anything else to the letter (TOOL, ToHttpApiV2Response)
            body = answer if isinstance(answer, str) else payload
            return Response(status=200, headers=(("Content-Type", "application/json"),), body=body.encode())
        status = self._status(answer["statusCode"])
        # multiValueHeaders are ignored: github.com/CodeGenieApp/serverless-express/issues/554.  Several casings of
        # one name do not become several lines: github.com/dougmoscrop/serverless-http/pull/168
        lines = list({name.lower(): (name, v) for name, v in self._single(answer.get("headers") or {})}.values())
        cookies = answer.get("cookies") or []
        if not isinstance(cookies, list) or not all(isinstance(cookie, str) for cookie in cookies):
            raise self._refuse("cookies are no list of strings")
        lines += [("Set-Cookie", line_of(cookie)) for cookie in cookies]
        if not any(name.lower() == "content-type" for name, _ in lines):
            lines.append(("Content-Type", "text/plain; charset=utf-8"))  # TOOL, GetDefaultContentType
        return Response(status=status, headers=tuple(lines), body=self._body(no_null(answer)))


def no_null(answer: dict[str, Any]) -> dict[str, Any]:
    """A null body of API Gateway's HTTP APIs: documented nowhere as refused."""
    return answer | {"body": answer.get("body") or ""}
