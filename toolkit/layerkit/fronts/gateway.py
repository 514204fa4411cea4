"""What REST and HTTP APIs have in common: API Gateway."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar
from urllib.parse import unquote_plus

from layerkit.fronts.base import Front
from layerkit.fronts.nouns import Event, Request
from layerkit.fronts.parts import last, lists, parameters


class Gateway(Front):
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

    def _context(self, request: Request) -> Event:
        return {
            "accountId": "123456789012",
            "apiId": self.own_domain.partition(".")[0],  # LIVE
            "domainName": self.domain,
            "domainPrefix": self.domain.partition(".")[0],
            "requestId": self._request_id(request),
            "stage": self.stage,
        }

    def _request_id(self, request: Request) -> str:
        return request.short_id  # LIVE (HTTP API 2.0), API (1.0)

    def _authorizer(self) -> Any:
        return json.loads(json.dumps(dict(self.setup.authorizer or {})))

    def _version_1(self, request: Request, path: str, whole: str, route: str, given: Any) -> Event:
        """LIVE, RECORD: both forms of headers and query; `headers` has the last value; what is not there is null."""
        pairs = [(unquote_plus(name), unquote_plus(value)) for name, value in parameters(request.query)]
        lines = self._headers(request)
        # RECORD (request): these keys and these nulls
        identity = dict.fromkeys(
            ("accessKey", "accountId", "caller", "cognitoIdentityId", "principalOrgId", "user", "userArn")
        )
        context = self._context(request) | {
            "extendedRequestId": request.short_id,  # LIVE (REST), API
            "httpMethod": request.method,
            "identity": identity | {"sourceIp": request.client, "userAgent": request.header("user-agent")},
            "path": whole,
            "protocol": "HTTP/1.1",
            "requestTime": request.time,
            "requestTimeEpoch": request.milliseconds,
            "resourceId": "abc123",
            "resourcePath": route,
        }
        if self.setup.authorizer is not None:
            context["authorizer"] = self._authorizer()
        return {
            "resource": route,
            "path": path,
            "httpMethod": request.method,
            "headers": last(lines),
            "multiValueHeaders": lists(lines),
            "queryStringParameters": last(pairs) or None,
            "multiValueQueryStringParameters": lists(pairs) or None,
            "pathParameters": given,
            "stageVariables": None,
            "requestContext": context,
        }
