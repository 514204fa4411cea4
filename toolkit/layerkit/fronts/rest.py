"""REST APIs of API Gateway."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from layerkit.fronts.gateway import Gateway
from layerkit.fronts.nouns import Event, Request, Response, Trouble
from layerkit.fronts.parts import encoded_body, filled


class RestApi(Gateway):
    """REST API, Lambda proxy integration (payload 1.0, without a `version`)."""

    name = "rest"
    own_domain = "abc123.execute-api.us-east-1.amazonaws.com"
    default_stage = "prod"
    # LIMITS: 29 seconds, and more only for regional and private APIs that ask for it; 10 MB
    max_seconds = 29
    body_limit = 10 * 1024 * 1024

    def _event(self, request: Request) -> Event:
        # RECORD: the path is encoded as it came; leading slashes become one (with-prepended-slash), inner ones stay
        path = f"/{request.path.lstrip('/')}"
        route = self.setup.route or ("/{proxy+}" if path != "/" else "/")
        # LIVE, RECORD: pathParameters stay encoded
        given = filled(route, path, greedy_slash=False)
        # TOOLS' live events in .../pull/579: `path` has a custom domain's base path and never the stage
        shown = path if not self.setup.domain else f"{self.mount}{path}"
        event = self._version_1(request, shown, f"{self.mount}{request.path}", route, given)
        # github.com/ministackorg/ministack/pull/767, verified on AWS: Content-Type decides, by binaryMediaTypes
        kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
        body, encoded = encoded_body(request, not self._is_binary(kind))
        return event | {"body": body or None, "isBase64Encoded": encoded}  # RECORD: null without one

    def _request_id(self, request: Request) -> str:
        return request.request_id  # LIVE

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        # localstack's header_utils.py, from its recordings: some never reach the function.  LIVE, RECORD: names are
        # as the client wrote them, but for these
        titles = {"host": "Host", "user-agent": "User-Agent", "authorization": "Authorization"}
        lines = [(titles.get(name.lower(), name), value) for name, value in super()._headers(request)]
        return [(name, value) for name, value in lines if name.lower() not in _REST_DROPS]

    def _is_binary(self, kind: str) -> bool:
        return any(pattern == "*/*" or (kind and fnmatchcase(kind, pattern)) for pattern in self.setup.binary)

    def _response(self, answer: Any, _payload: str, request: Request) -> Response:
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

    def _failed(self, trouble: Trouble) -> Response:
        # ERRORS, and supported-gateway-response-types.html beside NOTES.  The letters and headers of both 413:
        # github.com/koki-develop/lgtm-generator/issues/10; those of 502 and 504: curl's output in many public notes
        if trouble == "request":
            kind = (("Content-Type", "text; charset=utf-8"),)
            return Response(
                status=413, headers=kind, body=b"HTTP content length exceeded %d bytes." % self.body_limit
            )
        status, message, error = {
            "slow": (504, "Endpoint request timed out", "InternalServerErrorException"),
            "event": (413, "Request Too Long", "BadRequestException"),
        }.get(trouble, (502, "Internal server error", "InternalServerErrorException"))
        return Response(
            status=status,
            headers=(("Content-Type", "application/json"), ("x-amzn-ErrorType", error)),
            body=f'{{"message": "{message}"}}'.encode(),
        )


_REST_DROPS = frozenset(
    {
        "connection", "content-length", "content-md5", "expect", "max-forwards", "proxy-authenticate", "server", "te",
        "trailer", "transfer-encoding", "upgrade", "www-authenticate",
    }
)  # fmt: skip
