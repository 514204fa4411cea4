"""Lambda's HTTP fronts: what event each makes of an HTTP request, and what it makes of the function's answer.

A front claims what its sources say and no more; where they are silent it says "documented nowhere" and why it does
what it does.  All strings of Request and Response are as on the wire: one character is one byte.  Sources by name:

API     docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
NOTES   docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
ELB     docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
XFF     docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
LIMITS  docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html (REST)
        and http-api-quotas.html beside it
ERRORS  docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html (ALB),
        docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html (REST)
TRIALS  juxt.pro/blog/http-and-lambda: what clients get of functions that fail, and of wrong answers
LATTICE docs.aws.amazon.com/vpc-lattice/latest/ug/lambda-functions.html, and http-targets.html and
        services.html beside it
ENVOY   github.com/envoyproxy/envoy source/extensions/filters/http/aws_lambda/aws_lambda_filter.cc, whose JSON is
        that of VPC Lattice's first version
LIVE    github.com/hotsock/voker vokerhttp/testdata: events of July 2026 (REST, HTTP API 2.0, Function URL, ALB)
RECORD  github.com/localstack/localstack tests/aws/services/apigateway/test_apigateway_lambda.snapshot.json, recorded
        on AWS (REST)
TOOL    github.com/aws/aws-lambda-dotnet Tools/LambdaTestTool-v2, AWS's own stand-in, and its test cases
TOOLS   github.com/aws-powertools/powertools-lambda-python tests/events, aws_lambda_powertools/shared
"""

from __future__ import annotations

from layerkit.fronts.asking import parse_header, parse_request
from layerkit.fronts.base import Front
from layerkit.fronts.function_url import FunctionUrl
from layerkit.fronts.http_api import HttpApi1, HttpApi2
from layerkit.fronts.lattice import LatticeV1, LatticeV2
from layerkit.fronts.load_balancer import LoadBalancer, LoadBalancerLists
from layerkit.fronts.nouns import (
    ALB_LIMIT,
    EVENT_LIMIT,
    LAMBDA_LIMIT,
    Event,
    Pairs,
    Refused,
    Request,
    Response,
    Setup,
    Trouble,
)
from layerkit.fronts.rest import RestApi

FRONTS: dict[str, type[Front]] = {
    front.name: front
    for front in (HttpApi2, HttpApi1, RestApi, FunctionUrl, LoadBalancer, LoadBalancerLists, LatticeV1, LatticeV2)
}
NAMES = tuple(FRONTS)  # the first one is the default
__all__ = [
    "ALB_LIMIT", "EVENT_LIMIT", "FRONTS", "LAMBDA_LIMIT", "NAMES", "Event", "Front", "FunctionUrl", "HttpApi1",
    "HttpApi2", "LatticeV1", "LatticeV2", "LoadBalancer", "LoadBalancerLists", "Pairs", "Refused", "Request",
    "Response", "RestApi", "Setup", "Trouble", "front", "local", "parse_header", "parse_request",
]  # fmt: skip


def front(name: str = NAMES[0], setup: Setup | None = None) -> Front:
    """The front of that name.  Raises KeyError for what is none of NAMES."""
    return FRONTS[name](setup or Setup())


def local(name: str, address: str) -> Front:
    """The front for clients on this machine, who reach it at `http://address`, a host and perhaps a port.

    What differs from the same front at AWS is what must, so that an app's own addresses, redirects and cookies work
    in a browser: the scheme is http, port and host are the address's, and an API of API Gateway has that host for a
    custom domain with an empty mapping.  So a REST API's stage is in the event, but in no path.  A Function URL and
    the others know no custom domain: requestContext has an address of AWS, and only Host has this one.
    """
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        host, port = address, "80"
    gateway = name in (HttpApi2.name, HttpApi1.name, RestApi.name)
    return front(name, Setup(scheme="http", port=port, host=address, domain=host if gateway else ""))
