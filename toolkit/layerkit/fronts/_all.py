"""Models of Lambda's HTTP fronts: what event each makes of an HTTP request, and what it makes of the answer.

A model claims what its sources say and no more; where they are silent it says "documented nowhere" and why it does
what it does.  All strings of Request and Response are as on the wire: one character is one byte.  Sources by name:

API     docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
NOTES   docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
ELB     docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
XFF     docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
LATTICE docs.aws.amazon.com/vpc-lattice/latest/ug/lambda-functions.html, and http-targets.html beside it
ENVOY   github.com/envoyproxy/envoy source/extensions/filters/http/aws_lambda/aws_lambda_filter.cc, whose JSON is
        that of VPC Lattice's first version
LIVE    github.com/hotsock/voker vokerhttp/testdata: events of July 2026 (REST, HTTP API 2.0, Function URL, ALB)
RECORD  github.com/localstack/localstack tests/aws/services/apigateway/test_apigateway_lambda.snapshot.json, recorded
        on AWS (REST)
TOOL    github.com/aws/aws-lambda-dotnet Tools/LambdaTestTool-v2, AWS's own stand-in, and its test cases
TOOLS   github.com/aws-powertools/powertools-lambda-python tests/events, aws_lambda_powertools/shared
"""

from __future__ import annotations

import json
import re
import sys
from base64 import b64encode
from binascii import Error, a2b_base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, ClassVar
from urllib.parse import unquote, unquote_plus

Event = dict[str, Any]
Pairs = tuple[tuple[str, str], ...]

# "Response payload size exceeded maximum allowed payload size (6291556 bytes)": the Lambda runtime API
LAMBDA_LIMIT = 6_291_556
ALB_LIMIT = 1024 * 1024  # ELB: "The maximum size of the response JSON that the Lambda function can send is 1 MB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client sends.  `target` stands below where the API is mounted; the model puts stage or mapping first."""

    method: str = "GET"
    target: str = "/"
    headers: Pairs = ()
    body: bytes = b""
    client: str = "203.0.113.7"

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What that client gets."""

    status: int
    reason: str = ""
    headers: Pairs = ()
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The field's value as a client reads it, its lines joined (RFC 9110, 5.2)."""
        return ", ".join(self.all(name)) if self.all(name) else None


class Refused(Exception):
    """The front does not take the answer; its client gets `status`."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status, self.reason = status, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How the front is configured.  What a front has not got it leaves alone."""

    stage: str = ""  # of API Gateway; "": prod on a REST API, $default on an HTTP API
    domain: str = ""  # a custom domain; "": the front's own
    mapping: str = ""  # base path mapping (REST), API mapping key (HTTP API) of the custom domain
    route: str = ""  # resource or route; "": {proxy+} beside the root on a REST API, $default on an HTTP API
    binary: tuple[str, ...] = ("*/*",)  # binaryMediaTypes of a REST API
    authorizer: Mapping[str, Any] | None = None  # as it stands in requestContext
    scheme: str = "https"
    port: str = ""  # "": the scheme's
    client_port: bool = False  # ALB: routing.http.xff_client_port.enabled
    stage_in_path: bool = True  # HTTP API 2.0 on a custom domain, see HttpApi2._prefix
    query_in_path: bool = True  # VPC Lattice v1, see LatticeV1._event


@dataclass(frozen=True)
class Front:
    """What the eight have in common."""

    setup: Setup = field(default_factory=Setup)

    name: ClassVar[str]
    own_domain: ClassVar[str]
    limit: ClassVar[int] = LAMBDA_LIMIT
    raw_query: ClassVar[bool] = False  # the query arrives to the letter
    raw_path: ClassVar[bool] = True  # the path arrives encoded, so with any bytes
    failure: ClassVar[int] = 502  # what the client gets when the function fails

    # -- the event

    def event(self, request: Request) -> Event:
        """What the function gets: JSON, and nothing that JSON cannot hold."""
        event: Event = json.loads(json.dumps(self._event(request)))
        return event

    def _event(self, request: Request) -> Event:
        raise NotImplementedError

    @property
    def domain(self) -> str:
        return self.setup.domain or self.own_domain

    @property
    def mount(self) -> str:
        """What stands before the target in the client's address bar."""
        return ""

    @property
    def root(self) -> str:
        return f"{self.setup.scheme}://{self.domain}{self.mount}"

    @property
    def port(self) -> str:
        return self.setup.port or ("443" if self.setup.scheme == "https" else "80")

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        """The client's header lines and those that the front adds, values as JSON text.

        X-Forwarded-For is appended to, the other two are overwritten: XFF (append is the default), RECORD.
        The client sends a length with a body, as HTTP wants.
        """
        lines = [(name, value) for name, value in request.headers if name.lower() not in _SET_BY_FRONT]
        if request.header("host") is None:
            lines.insert(0, ("Host", self.domain))
        if request.body and request.header("content-length") is None and request.header("transfer-encoding") is None:
            lines.append(("Content-Length", str(len(request.body))))
        before = [value for name, value in request.headers if name.lower() == "x-forwarded-for"]
        client = f"{request.client}:50123" if self.setup.client_port else request.client
        lines += [("X-Forwarded-For", ", ".join([*before, client]))]
        lines += [("X-Forwarded-Port", self.port), ("X-Forwarded-Proto", self.setup.scheme)]
        lines += [("X-Amzn-Trace-Id", "Root=1-5e6b67ad-2d4a5560cf6fb7a02780c3a0")]
        return [(name, _text(value)) for name, value in lines]

    # -- the answer

    def response(self, answer: Any, request: Request | None = None) -> Response:
        """What the client gets.  Raises Refused where that is the front's own error."""
        request = request or Request()
        try:
            # the runtime's client (awslambdaric, lambda_runtime_marshaller.py): from Python 3.12 on, not ASCII alone
            data = json.dumps(answer, ensure_ascii=sys.version_info < (3, 12), allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise Refused(self.failure, f"Runtime.MarshalError: {error}") from None
        if len(data) > LAMBDA_LIMIT:
            raise Refused(self.failure, f"Function.ResponseSizeTooLarge: {len(data)} bytes")
        if len(data) > self.limit:
            raise Refused(self.failure, f"the front's limit is {self.limit} bytes, not {len(data)}")
        response = self._response(json.loads(data), request)
        for name, value in response.headers:
            if re.search(r"[\r\n\0]", name + value):  # RFC 9110, 5.5: no front can send it
                raise Refused(self.failure, f"a line break in header {name!r}")
        return _on_the_wire(response, request)

    def _response(self, answer: Any, request: Request) -> Response:
        raise NotImplementedError

    def _refuse(self, reason: str) -> Refused:
        return Refused(self.failure, reason)

    def _mapping(self, answer: Any) -> dict[str, Any]:
        if not isinstance(answer, dict):
            raise self._refuse(f"the answer is a {type(answer).__name__}, not an object")
        return answer

    def _single(self, headers: Any, *, also: type = str) -> list[tuple[str, str]]:
        if not isinstance(headers, dict):
            raise self._refuse(f"headers are a {type(headers).__name__}, not an object")
        for name, value in headers.items():
            if not isinstance(value, str | also):
                raise self._refuse(f"header {name!r} has a {type(value).__name__}, not a string")
        return [(name, _line(value)) for name, value in headers.items()]

    def _lists(self, headers: Any, *, also: type = str) -> list[tuple[str, str]]:
        if not isinstance(headers, dict):
            raise self._refuse(f"multiValueHeaders are a {type(headers).__name__}, not an object")
        for name, values in headers.items():
            if not isinstance(values, list) or not all(isinstance(value, str | also) for value in values):
                raise self._refuse(f"multiValueHeaders has for {name!r} no list of strings")
        return [(name, _line(value)) for name, values in headers.items() for value in values]

    def _body(self, answer: dict[str, Any], *, decode: bool = True) -> bytes:
        body, encoded = answer.get("body", ""), answer.get("isBase64Encoded", False)
        if not isinstance(body, str):
            raise self._refuse(f"body is a {type(body).__name__}, not a string")
        if not isinstance(encoded, bool):
            raise self._refuse(f"isBase64Encoded is a {type(encoded).__name__}")
        if not (encoded and decode):
            return body.encode()
        try:
            return a2b_base64(body, strict_mode=True)
        except (Error, ValueError) as error:
            raise self._refuse(f"the body is no base64: {error}") from None


_SET_BY_FRONT = ("x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "x-amzn-trace-id")
_TEXTUAL = ("application/json", "application/javascript", "application/xml")
_BODILESS = (204, 304)


def _text(value: str) -> str:
    """Header bytes as JSON text.

    ALB decodes UTF-8: github.com/honojs/hono/issues/4432 has letters of Latin Extended-A in its event.  The other
    fronts: documented nowhere; JSON has to be Unicode, so the same.  What is no UTF-8 cannot be told apart after.
    """
    return value.encode("latin-1").decode("utf-8", "replace")


def _line(value: str | bool) -> str:
    """JSON text as header bytes: documented nowhere; UTF-8, the other way round.  A bool: RECORD, header-bool."""
    text = str(value).lower() if isinstance(value, bool) else value
    return text.encode().decode("latin-1")


def _on_the_wire(response: Response, request: Request) -> Response:
    """The front writes Content-Length itself, and no body where HTTP has none (RFC 9110, 6.4.1)."""
    if request.method == "HEAD" or response.status in _BODILESS:
        # what is left of the app's Content-Length on HEAD: documented nowhere; kept, as that is what HTTP means by it
        return Response(status=response.status, reason=response.reason, headers=response.headers)
    lines = [(name, value) for name, value in response.headers if name.lower() != "content-length"]
    return Response(
        status=response.status,
        reason=response.reason,
        headers=(*lines, ("Content-Length", str(len(response.body)))),
        body=response.body,
    )


def _last(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    return dict(pairs)


def _all(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: ",".join(values) for name, values in _all((name.lower(), value) for name, value in pairs).items()}


def _parameters(query: str) -> list[tuple[str, str]]:
    """The parts of a query as they came."""
    parts = [part.partition("=") for part in query.split("&") if part]
    return [(name, value) for name, _, value in parts]


def _encoded_body(request: Request, text: bool) -> tuple[str, bool]:
    if text or not request.body:
        return request.body.decode("utf-8", "replace"), False
    return b64encode(request.body).decode(), True


def _is_textual(request: Request) -> bool:
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in _TEXTUAL


def _fill(route: str, path: str, *, greedy_slash: bool = True) -> dict[str, str] | None:
    """The path parameters of a route (`/users/{id}`, `/{proxy+}`), as they stand in the path."""
    pattern = re.sub(r"\\\{(\w+)\\\+\\\}", r"(?P<\1>.+)", re.escape(route))
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern)
    found = re.fullmatch(f"{pattern}/?", path) if "{" in route else None
    if found is None:
        return None
    # RECORD, with-trailing-slash: path /proxy-value/, pathParameters proxy-value
    return {name: value if greedy_slash else value.rstrip("/") for name, value in found.groupdict().items()}


class _Gateway(Front):
    """API Gateway: a stage in the address of its own domain, a mapping in a custom one's."""

    default_stage: ClassVar[str]

    @property
    def stage(self) -> str:
        return self.setup.stage or self.default_stage

    @property
    def mount(self) -> str:
        if self.setup.domain:
            return f"/{self.setup.mapping}" if self.setup.mapping else ""
        return "" if self.stage == "$default" else f"/{self.stage}"

    def _status(self, status: Any) -> int:
        """RECORD, status-code-str and invalid-status-code: a string of digits will do."""
        if isinstance(status, bool) or not re.fullmatch("[1-9][0-9][0-9]", str(status)):
            raise self._refuse(f"statusCode {status!r}")
        return int(status)

    def _context(self) -> Event:
        return {
            "accountId": "123456789012",
            "apiId": "id",
            "domainName": self.domain,
            "domainPrefix": self.domain.partition(".")[0],
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "stage": self.stage,
        }

    def _version_1(self, request: Request, path: str, whole: str, route: str, given: Any) -> Event:
        """LIVE, RECORD: both forms of headers and query; `headers` has the last value; what is not there is null."""
        pairs = [(unquote_plus(name), unquote_plus(value)) for name, value in _parameters(request.query)]
        lines = self._headers(request)
        # RECORD (request): these keys and these nulls
        identity = dict.fromkeys(
            ("accessKey", "accountId", "caller", "cognitoIdentityId", "principalOrgId", "user", "userArn")
        )
        context = self._context() | {
            "httpMethod": request.method,
            "identity": identity | {"sourceIp": request.client, "userAgent": request.header("user-agent")},
            "path": whole,
            "protocol": "HTTP/1.1",
            "requestTime": "04/Mar/2020:19:15:17 +0000",
            "requestTimeEpoch": 1583349317135,
            "resourceId": "abc123",
            "resourcePath": route,
        }
        if self.setup.authorizer is not None:
            context["authorizer"] = dict(self.setup.authorizer)
        return {
            "resource": route,
            "path": path,
            "httpMethod": request.method,
            "headers": _last(lines),
            "multiValueHeaders": _all(lines),
            "queryStringParameters": _last(pairs) or None,
            "multiValueQueryStringParameters": _all(pairs) or None,
            "pathParameters": given,
            "stageVariables": None,
            "requestContext": context,
        }


class RestApi(_Gateway):
    """REST API, Lambda proxy integration (payload 1.0, without a `version`)."""

    name = "rest"
    own_domain = "abc123.execute-api.us-east-1.amazonaws.com"
    default_stage = "prod"

    def _event(self, request: Request) -> Event:
        # RECORD: the path is encoded as it came; leading slashes become one (with-prepended-slash), inner ones stay
        path = f"/{request.path.lstrip('/')}"
        route = self.setup.route or ("/{proxy+}" if path != "/" else "/")
        # LIVE, RECORD: pathParameters stay encoded
        given = _fill(route, path, greedy_slash=False)
        # TOOLS' live events in .../pull/579: `path` has a custom domain's base path and never the stage
        shown = path if not self.setup.domain else f"{self.mount}{path}"
        event = self._version_1(request, shown, f"{self.mount}{request.path}", route, given)
        # github.com/ministackorg/ministack/pull/767, verified on AWS: Content-Type decides, by binaryMediaTypes
        kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
        body, encoded = _encoded_body(request, not self._is_binary(kind))
        return event | {"body": body or None, "isBase64Encoded": encoded}  # RECORD: null without one

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        # localstack's header_utils.py, from its recordings: some never reach the function.  LIVE, RECORD: names are
        # as the client wrote them, but for these
        titles = {"host": "Host", "user-agent": "User-Agent", "authorization": "Authorization"}
        lines = [(titles.get(name.lower(), name), value) for name, value in super()._headers(request)]
        return [(name, value) for name, value in lines if name.lower() not in _REST_DROPS]

    def _is_binary(self, kind: str) -> bool:
        return any(pattern == "*/*" or (kind and fnmatchcase(kind, pattern)) for pattern in self.setup.binary)

    def _response(self, answer: Any, request: Request) -> Response:
        found = self._mapping(answer)
        # RECORD, payload_format_validation: wrong-format, empty-response; null headers and a missing status are fine
        unknown = found.keys() - {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}
        if unknown or not found:
            raise self._refuse(f"Malformed Lambda proxy response: {sorted(unknown) or 'empty'}")
        status = self._status(found.get("statusCode", 200))
        if "body" in found and found["body"] is None:
            found = found | {"body": ""}
        # RECORD, multi-headers-overwrite: both forms are merged, the lists first
        lines = self._lists(found.get("multiValueHeaders") or {}, also=bool)
        lines += self._single(found.get("headers") or {}, also=bool)
        # github.com/dherault/serverless-offline/issues/236, NOTES
        lines = [(f"x-amzn-Remapped-{n}" if n.lower() == "www-authenticate" else n, v) for n, v in lines]
        if not any(name.lower() == "content-type" for name, _ in lines):
            lines.append(("Content-Type", "application/json"))  # RECORD, with-headers
        # RECORD, b64-encoded-true; .../ministack/pull/767: bytes only where Accept matches binaryMediaTypes
        accept = (request.header("accept") or "").partition(",")[0].partition(";")[0].strip().lower()
        body = self._body(found, decode=self._is_binary(accept))
        return Response(status=status, headers=tuple(lines), body=body)


_REST_DROPS = frozenset(
    {
        "connection", "content-length", "content-md5", "expect", "max-forwards", "proxy-authenticate", "server", "te",
        "trailer", "transfer-encoding", "upgrade", "www-authenticate",
    }
)  # fmt: skip


class _HttpApi(_Gateway):
    own_domain = "abc123.execute-api.eu-central-1.amazonaws.com"
    default_stage = "$default"
    failure = 500  # TOOL, SetErrorResponse

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
        return _encoded_body(request, _is_textual(request))

    def _parameters_of(self, path: str) -> dict[str, str] | None:
        """TOOL, UrlEncodedRouteParameter: decoded in both versions."""
        given = _fill(self.route, path)
        return {name: unquote(value) for name, value in given.items()} if given else None


class HttpApi1(_HttpApi):
    """HTTP API, payload format 1.0."""

    name = "http-1.0"

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

    def _response(self, answer: Any, request: Request) -> Response:
        found = self._mapping(answer)
        # www.repost.aws/knowledge-center/api-gateway-status-codes-http-api: 1.0 makes no assumptions, it answers 500
        status = self._status(found.get("statusCode"))
        lines = self._lists(found.get("multiValueHeaders") or {}) + self._single(found.get("headers") or {})
        if not any(name.lower() == "content-type" for name, _ in lines):
            lines.append(("Content-Type", "text/plain; charset=utf-8"))  # TOOL, GetDefaultContentType
        return Response(status=status, headers=tuple(lines), body=self._body(_no_null(found)))


class HttpApi2(_HttpApi):
    """HTTP API, payload format 2.0."""

    name = "http-2.0"
    raw_query = True
    raw_path = False
    cookie_header: ClassVar[bool] = False

    def _event(self, request: Request) -> Event:
        # LIVE: the path is decoded, the query is not
        path = unquote(f"{self._prefix}{request.path}") or "/"
        cookies = [one for name, v in request.headers if name.lower() == "cookie" for one in _text(v).split("; ")]
        lines = self._headers(request)
        headers = _joined((n, v) for n, v in lines if self.cookie_header or n.lower() != "cookie")
        if self.cookie_header and cookies:
            headers["cookie"] = "; ".join(cookies)
        key = self.route if self.route == "$default" else f"ANY {self.route}"
        context = self._context() | {
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.client,
                "userAgent": request.header("user-agent") or "",
            },
            "routeKey": key,
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        }
        if self.setup.authorizer is not None:
            context["authorizer"] = dict(self.setup.authorizer)
        event: Event = {
            "version": "2.0",
            "routeKey": key,
            "rawPath": self._raw_path(request),
            "rawQueryString": request.query,
            "headers": headers,
            "requestContext": context,
        }
        # API, LIVE: what there is none of is left out
        pairs = [(unquote_plus(name), unquote_plus(value)) for name, value in _parameters(request.query)]
        if pairs:
            event["queryStringParameters"] = {name: ",".join(values) for name, values in _all(pairs).items()}
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

    def _response(self, answer: Any, request: Request) -> Response:
        if not isinstance(answer, dict) or "statusCode" not in answer:
            # API: "API Gateway makes assumptions": 200, application/json, the body is what the function returned
            body = answer if isinstance(answer, str) else json.dumps(answer)
            return Response(status=200, headers=(("Content-Type", "application/json"),), body=body.encode())
        status = self._status(answer["statusCode"])
        # multiValueHeaders are ignored: github.com/CodeGenieApp/serverless-express/issues/554.  Several casings of
        # one name do not become several lines: github.com/dougmoscrop/serverless-http/pull/168
        lines = list({name.lower(): (name, v) for name, v in self._single(answer.get("headers") or {})}.values())
        cookies = answer.get("cookies") or []
        if not isinstance(cookies, list) or not all(isinstance(cookie, str) for cookie in cookies):
            raise self._refuse("cookies are no list of strings")
        lines += [("Set-Cookie", _line(cookie)) for cookie in cookies]
        if not any(name.lower() == "content-type" for name, _ in lines):
            lines.append(("Content-Type", "text/plain; charset=utf-8"))  # TOOL, GetDefaultContentType
        return Response(status=status, headers=tuple(lines), body=self._body(_no_null(answer)))


class FunctionUrl(HttpApi2):
    """Function URL: payload 2.0 with a path that is not decoded, and cookies twice (LIVE)."""

    name = "function-url"
    own_domain = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws"
    raw_path = True
    cookie_header = True
    failure = 502  # docs.aws.amazon.com/lambda/latest/dg/urls-monitoring.html

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


class LoadBalancer(Front):
    """Application Load Balancer, target group without multi-value headers (the default)."""

    name = "alb"
    own_domain = "lambda-alb-123578498.us-east-2.elb.amazonaws.com"
    limit = ALB_LIMIT

    def _event(self, request: Request) -> Event:
        # ELB: "If the query parameters are URL-encoded, the load balancer does not decode them"; LIVE: nor the path.
        # ELB: single values: "the load balancer uses the last value sent by the client"; one form, never both
        lines = [(name.lower(), value) for name, value in self._headers(request)]  # TOOLS, alb*.json: lower case
        # ELB: base64 where there is a content-encoding, or a type that is not textual
        text = request.header("content-encoding") is None and _is_textual(request)
        body, encoded = _encoded_body(request, text)
        return {
            "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-2:1:targetgroup/t/1"}},
            "httpMethod": request.method,
            "path": request.path or "/",
            **self._parts(_parameters(request.query), lines),
            "body": body,  # TOOLS, albMultiValueHeadersEvent: "" without one
            "isBase64Encoded": encoded,
        }

    def _parts(self, pairs: list[tuple[str, str]], lines: list[tuple[str, str]]) -> Event:
        return {"queryStringParameters": _last(pairs), "headers": _last(lines)}

    def _response(self, answer: Any, request: Request) -> Response:
        found = self._mapping(answer)
        if not isinstance(found.get("statusCode"), int) or not 100 <= found["statusCode"] <= 599:
            # apig-wsgi's changelog, 2.1.0: an int; github.com/Adyen/adyen-commercetools/pull/1249: it must be there
            raise self._refuse(f"statusCode {found.get('statusCode')!r}")
        for name, value in found.items():
            # null is refused wherever it stands: github.com/aws/aws-lambda-go/issues/438 (body), .../pull/207
            # (headers), github.com/aws/aws-lambda-dotnet/issues/507 (statusDescription)
            if value is None and name in ("body", "headers", "multiValueHeaders", "statusDescription"):
                raise self._refuse(f"{name} is null")
        # .../aws-lambda-dotnet/issues/507: "must contain the status code and reason phrase, separated by a single
        # space"; github.com/awsdocs/elb-application-load-balancers-user-guide/issues/33: it may be missing
        description = found.get("statusDescription", f"{found['statusCode']} ?")
        if not isinstance(description, str) or not re.fullmatch(rf"{found['statusCode']} \S.*", description):
            raise self._refuse(f"statusDescription {description!r}")
        return Response(
            status=found["statusCode"],
            reason=description[4:],
            headers=tuple(self._lines(found)),
            body=self._body(found),
        )

    def _lines(self, answer: dict[str, Any]) -> list[tuple[str, str]]:
        # ELB: "You must use multiValueHeaders if you have enabled multi-value headers and headers otherwise".
        # A header value that is no string: github.com/jeremydaly/lambda-api/issues/117.  Casings of one name become
        # several lines: github.com/Kludex/mangum/pull/186
        return self._single(answer.get("headers", {}))


class LoadBalancerLists(LoadBalancer):
    """Application Load Balancer with lambda.multi_value_headers.enabled."""

    name = "alb-multi"

    def _parts(self, pairs: list[tuple[str, str]], lines: list[tuple[str, str]]) -> Event:
        return {"multiValueQueryStringParameters": _all(pairs), "multiValueHeaders": _all(lines)}

    def _lines(self, answer: dict[str, Any]) -> list[tuple[str, str]]:
        # the values come out in reverse: github.com/dougmoscrop/serverless-http/issues/244; ELB: "do not count on
        # headers being returned in a specific order"
        return self._lists(answer.get("multiValueHeaders", {}))[::-1]


class _Lattice(Front):
    own_domain = "test-lambda-service-3908sdf9u3u.dkfjd93.vpc-lattice-svcs.us-east-2.on.aws"

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        # LATTICE, http-targets: x-forwarded-for, x-forwarded-for-port, x-forwarded-for-proto, and no trace
        new = {"X-Forwarded-Port": "x-forwarded-for-port", "X-Forwarded-Proto": "x-forwarded-for-proto"}
        return [(new.get(n, n).lower(), v) for n, v in super()._headers(request) if n.lower() != "x-amzn-trace-id"]

    def _response(self, answer: Any, request: Request) -> Response:
        found = self._mapping(answer)
        if not isinstance(found.get("statusCode"), int) or not 100 <= found["statusCode"] <= 599:
            raise self._refuse(f"statusCode {found.get('statusCode')!r}")
        # LATTICE gives isBase64Encoded, statusCode, statusDescription, headers (of strings) and body.  How several
        # Set-Cookie are sent is documented nowhere: ENVOY has a list of `cookies`, and TOOLS answers with one;
        # others use several casings of the name.  Either is taken
        lines = self._single(found.get("headers", {}))
        cookies = found.get("cookies", [])
        if not isinstance(cookies, list) or not all(isinstance(cookie, str) for cookie in cookies):
            raise self._refuse("cookies are no list of strings")
        lines += [("Set-Cookie", _line(cookie)) for cookie in cookies]
        description = found.get("statusDescription", "")
        if not isinstance(description, str):
            raise self._refuse(f"statusDescription {description!r}")
        return Response(
            status=found["statusCode"],
            reason=description.partition(" ")[2],
            headers=tuple(lines),
            body=self._body(found),
        )


class LatticeV1(_Lattice):
    """VPC Lattice, event structure V1."""

    name = "lattice-v1"

    def _event(self, request: Request) -> Event:
        # ENVOY: raw_path is ":path", so with the query, and query_string_parameters has the first value of each key,
        # undecoded; LATTICE's example shows a path alone: no query_in_path
        raw = request.target if self.setup.query_in_path and request.path else request.path or "/"
        # ENVOY, isContentTypeTextual: the whole Content-Type is compared, and there must be one
        kind = request.header("content-type") or ""
        text = kind.startswith("text/") or kind in _TEXTUAL
        if (request.header("transfer-encoding") or "identity") != "identity":
            text = False
        body, encoded = _encoded_body(request, text)
        return {
            "raw_path": raw,
            "method": request.method,
            "headers": _joined(self._headers(request)),
            "query_string_parameters": {n: vs[0] for n, vs in _all(_parameters(request.query)).items()},
            "body": body,
            "is_base64_encoded": encoded,
        }


class LatticeV2(_Lattice):
    """VPC Lattice, event structure V2."""

    name = "lattice-v2"

    def _event(self, request: Request) -> Event:
        lines = [(name.lower(), value) for name, value in self._headers(request)]
        event: Event = {
            "version": "2.0",
            # encoding of path and query: documented nowhere; as they came, like V1
            "path": request.path or "/",
            "method": request.method,
            "headers": _all(lines),  # TOOLS, vpcLatticeV2EventWithHeaders: lists
            "requestContext": {
                "serviceNetworkArn": "arn:aws:vpc-lattice:us-east-2:123456789012:servicenetwork/sn-0bf3f2882e9cc805a",
                "serviceArn": "arn:aws:vpc-lattice:us-east-2:123456789012:service/svc-0a40eebed65f8d69c",
                "targetGroupArn": "arn:aws:vpc-lattice:us-east-2:123456789012:targetgroup/tg-6d0ecf831eec9f09",
                "identity": {"sourceVpcArn": "arn:aws:ec2:us-east-2:123456789012:vpc/vpc-0b8276c84697e7339"},
                "region": "us-east-2",
                "timeEpoch": "1696331543569073",
            },
        }
        if pairs := _parameters(request.query):
            event["queryStringParameters"] = _all(pairs)
        if request.body:
            # what is text: documented nowhere; as the load balancer has it
            event["body"], event["isBase64Encoded"] = _encoded_body(request, _is_textual(request))
        return event


def _no_null(answer: dict[str, Any]) -> dict[str, Any]:
    """A null body of API Gateway's HTTP APIs: documented nowhere as refused."""
    return answer | {"body": answer.get("body") or ""}


FRONTS: dict[str, type[Front]] = {
    front.name: front
    for front in (RestApi, HttpApi1, HttpApi2, FunctionUrl, LoadBalancer, LoadBalancerLists, LatticeV1, LatticeV2)
}
