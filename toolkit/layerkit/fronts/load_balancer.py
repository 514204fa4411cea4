"""Application Load Balancers, with single and with multi-value headers."""

from __future__ import annotations

import re
from typing import Any

from layerkit.fronts.base import Front
from layerkit.fronts.nouns import ALB_LIMIT, Event, Request, Response, Trouble
from layerkit.fronts.parts import encoded_body, is_textual, last, lists, parameters


class LoadBalancer(Front):
    """Application Load Balancer, target group without multi-value headers (the default)."""

    name = "alb"
    own_domain = "lambda-alb-123578498.us-east-2.elb.amazonaws.com"
    limit = ALB_LIMIT
    body_limit = ALB_LIMIT  # ELB: "The maximum size of the request body [...] is 1 MB"

    def _event(self, request: Request) -> Event:
        # ELB: "If the query parameters are URL-encoded, the load balancer does not decode them"; LIVE: nor the path.
        # ELB: single values: "the load balancer uses the last value sent by the client"; one form, never both
        lines = [(name.lower(), value) for name, value in self._headers(request)]  # TOOLS, alb*.json: lower case
        # ELB: base64 where there is a content-encoding, or a type that is not textual
        text = request.header("content-encoding") is None and is_textual(request)
        body, encoded = encoded_body(request, text)
        return {
            "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-2:1:targetgroup/t/1"}},
            "httpMethod": request.method,
            "path": request.path or "/",
            **self._parts(parameters(request.query), lines),
            "body": body,  # TOOLS, albMultiValueHeadersEvent: "" without one
            "isBase64Encoded": encoded,
        }

    def _parts(self, pairs: list[tuple[str, str]], lines: list[tuple[str, str]]) -> Event:
        return {"queryStringParameters": last(pairs), "headers": last(lines)}

    def _response(self, answer: Any, _payload: str, _request: Request) -> Response:
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

    def _failed(self, trouble: Trouble) -> Response:
        # ERRORS: 413 for a body of more than 1 MB; 502 for an answer of more than 1 MB and for a function that timed
        # out; 504 is for a Lambda service that does not answer, so a slow function has all its time.  TRIALS: 502 for
        # an error, with a page; github.com/CodeGenieApp/serverless-express/issues/688 has it, and with these line
        # ends its length is what others show, 122.  The page of 413: documented nowhere; made like it
        said = "413 Request Entity Too Large" if trouble == "request" else "502 Bad Gateway"
        lines = ("<html>", f"<head><title>{said}</title></head>", "<body>", f"<center><h1>{said}</h1></center>")
        return Response(
            status=int(said[:3]),
            reason=said[4:],
            headers=(("Server", "awselb/2.0"), ("Content-Type", "text/html")),
            body="\r\n".join((*lines, "</body>", "</html>", "")).encode(),
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
        return {"multiValueQueryStringParameters": lists(pairs), "multiValueHeaders": lists(lines)}

    def _lines(self, answer: dict[str, Any]) -> list[tuple[str, str]]:
        # the values come out in reverse: github.com/dougmoscrop/serverless-http/issues/244; ELB: "do not count on
        # headers being returned in a specific order"
        return self._lists(answer.get("multiValueHeaders", {}))[::-1]
