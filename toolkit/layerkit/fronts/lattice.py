"""VPC Lattice, with both event structures."""

from __future__ import annotations

from typing import Any

from layerkit.fronts.base import Front
from layerkit.fronts.nouns import Event, Request, Response, Trouble
from layerkit.fronts.parts import TEXTUAL, encoded_body, is_textual, joined, line_of, lists, parameters


class _Lattice(Front):
    own_domain = "test-lambda-service-3908sdf9u3u.dkfjd93.vpc-lattice-svcs.us-east-2.on.aws"

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        # LATTICE, http-targets: x-forwarded-for, x-forwarded-for-port, x-forwarded-for-proto, and no trace
        new = {"X-Forwarded-Port": "x-forwarded-for-port", "X-Forwarded-Proto": "x-forwarded-for-proto"}
        return [(new.get(n, n).lower(), v) for n, v in super()._headers(request) if n.lower() != "x-amzn-trace-id"]

    def _response(self, answer: Any, _payload: str, _request: Request) -> Response:
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
        lines += [("Set-Cookie", line_of(cookie)) for cookie in cookies]
        description = found.get("statusDescription", "")
        if not isinstance(description, str):
            raise self._refuse(f"statusDescription {description!r}")
        return Response(
            status=found["statusCode"],
            reason=description.partition(" ")[2],
            headers=tuple(lines),
            body=self._body(found),
        )

    def _failed(self, trouble: Trouble) -> Response:
        # what a client gets: documented nowhere, so a status as gateways have it and no words; nor whether the minute
        # that connections may idle (LATTICE) counts for a function, so here it does not.  LATTICE: 6 MB each way
        return Response(status=413 if trouble in ("request", "event") else 502)


class LatticeV1(_Lattice):
    """VPC Lattice, event structure V1."""

    name = "lattice-v1"

    def _event(self, request: Request) -> Event:
        # ENVOY: raw_path is ":path", so with the query, and query_string_parameters has the first value of each key,
        # undecoded; LATTICE's example shows a path alone: no query_in_path
        raw = request.target if self.setup.query_in_path and request.path else request.path or "/"
        # ENVOY, isContentTypeTextual: the whole Content-Type is compared, and there must be one
        kind = request.header("content-type") or ""
        text = kind.startswith("text/") or kind in TEXTUAL
        if (request.header("transfer-encoding") or "identity") != "identity":
            text = False
        body, encoded = encoded_body(request, text)
        return {
            "raw_path": raw,
            "method": request.method,
            "headers": joined(self._headers(request)),
            "query_string_parameters": {n: vs[0] for n, vs in lists(parameters(request.query)).items()},
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
            "headers": lists(lines),  # TOOLS, vpcLatticeV2EventWithHeaders: lists
            "requestContext": {
                "serviceNetworkArn": "arn:aws:vpc-lattice:us-east-2:123456789012:servicenetwork/sn-0bf3f2882e9cc805a",
                "serviceArn": "arn:aws:vpc-lattice:us-east-2:123456789012:service/svc-0a40eebed65f8d69c",
                "targetGroupArn": "arn:aws:vpc-lattice:us-east-2:123456789012:targetgroup/tg-6d0ecf831eec9f09",
                "identity": {"sourceVpcArn": "arn:aws:ec2:us-east-2:123456789012:vpc/vpc-0b8276c84697e7339"},
                "region": "us-east-2",
                "timeEpoch": f"{request.milliseconds}000",
            },
        }
        if pairs := parameters(request.query):
            event["queryStringParameters"] = lists(pairs)
        if request.body:
            # what is text: documented nowhere; as the load balancer has it
            event["body"], event["isBase64Encoded"] = encoded_body(request, is_textual(request))
        return event
