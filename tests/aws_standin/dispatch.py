"""What a request goes through: a region that is down, credentials, the throttle, a fault, the work, the log."""

from __future__ import annotations

import dataclasses
import threading
import time
import traceback
from collections.abc import Callable

from aws_standin import others
from aws_standin.asked import Asked, Operation
from aws_standin.faults import Faults, Throttle
from aws_standin.iam_needs import authorise, needs
from aws_standin.lambda_routes import lambda_
from aws_standin.nouns import Answer, Call, Refused, Request
from aws_standin.refusals import render
from aws_standin.s3 import s3
from aws_standin.server import Dropped, Reset
from aws_standin.ssm import ssm
from aws_standin.sts import sts
from aws_standin.world import Caller, Options, World

INVALID = "The security token included in the request is invalid."
SERVICES: dict[str, Callable[[Request], Operation]] = {
    "lambda": lambda_, "s3": s3, "sts": sts, "ec2": others.ec2, "account": others.account, "ssm": ssm,
}  # fmt: skip


class Dispatch:
    """The front of all services.  `broken` has a traceback for each request that the stand-in itself fell over."""

    def __init__(
        self, options: Options, world: World, clock: Callable[[], float], sleep: Callable[[float], object]
    ) -> None:
        self.options, self.world, self._sleep = options, world, sleep
        self.log: list[Call] = []
        self.broken: list[str] = []
        self.faults = Faults()
        self._throttle, self._puts = Throttle(clock), Throttle(clock)
        self._lock = threading.Lock()
        self._late: list[threading.Thread] = []
        self._given_up = threading.Event()

    def reset(self) -> None:
        """Late work that has not begun is given up."""
        self._given_up.set()
        self.settle()
        self._given_up = threading.Event()
        self.faults.clear()
        self._throttle.reset()
        self._puts.reset()
        with self._lock:
            self.log.clear()

    def settle(self) -> None:
        """Wait until late work is done."""
        with self._lock:
            waiting, self._late = self._late, []
        for thread in waiting:
            thread.join()

    def admit(self, request: Request) -> None:
        """Reset the connection to a region that is down, before the body has come."""
        key, region, service = request.signer
        if key and self.faults.down(region):
            operation = SERVICES[service](request) if service in SERVICES else None
            self._write(request, operation, size=int(request.header("content-length") or 0), dropped=True)
            raise Reset

    def serve(self, request: Request) -> Answer:
        """The answer; raises Dropped when there is to be none."""
        key, _, service = request.signer
        if self.options.latency:
            self._sleep(self.options.latency)
        if not key:
            refused = Refused("MissingAuthenticationTokenException", "Missing Authentication Token")
            spoken = "sts" if request.body.startswith(b"Action=") else "lambda"
            return self._answered(request, None, render(spoken, refused))
        if service not in SERVICES:
            refused = Refused("UnknownOperationException", f"{service} is not in this stand-in", 501)
            return self._answered(request, None, render("lambda", refused))
        operation = SERVICES[service](request)
        needed = tuple(needs(self.world, request, operation, self._caller(request)))  # before the work changes them
        operation = dataclasses.replace(operation, needs=needed)
        try:
            self._authorise(request, operation)
        except Refused as refused:
            return self._answered(request, operation, render(service, refused))
        return self._with_fault(request, operation)

    def _authorise(self, request: Request, operation: Operation) -> None:
        """Credentials, the region, the throttle."""
        key, region, service = request.signer
        if key == "expired":
            raise Refused("ExpiredTokenException", "")
        if key == "bad" or region in self.options.disabled:  # aws-rfdk#1171, chalice#1445
            raise Refused("UnrecognizedClientException", INVALID)
        self._check_session(request)
        account = self._caller(request).account
        if service == "lambda":
            self._throttle.take(self.options.rate, account, region)
        if operation.name == "PutParameter":
            self._puts.take(self.options.parameter_rate, account, region)
        authorise(self._caller(request), service, operation.needs)

    def _check_session(self, request: Request) -> None:
        """Credentials of a role come with their token, and end; an access key that begins as theirs do is one."""
        key = request.signer[0]
        session = self.world.sessions.get(key)
        given = request.header("x-amz-security-token") or request.query.get("X-Amz-Security-Token", "")
        if key.startswith("ASIA") and (not session or session.token != given):
            raise Refused("UnrecognizedClientException", INVALID)
        if session and session.token and session.until <= time.time():
            raise Refused("ExpiredTokenException", "")

    def _caller(self, request: Request) -> Caller:
        """An access key of twelve digits is that account; one of a role has the role's account and policy."""
        key, region, _ = request.signer
        session = self.world.sessions.get(key)
        if session:
            return Caller(account=session.role.account, region=region, session=session)
        return Caller(account=key if len(key) == 12 and key.isdigit() else self.options.account, region=region)

    def _with_fault(self, request: Request, operation: Operation) -> Answer:
        _, region, service = request.signer
        do, _, detail = self.faults.next(operation.name, region, operation.resource).partition(":")
        if do == "slow":
            self._sleep(float(detail))
        elif do == "drop-before":
            self._write(request, operation, dropped=True)
            raise Dropped
        elif do == "late":
            self._start_late(request, operation, float(detail))
            raise Dropped
        elif do not in ("", "slow-after", "drop-after", "bad-sha", "ends-failed"):
            code = "ExpiredTokenException" if do == "expired" else do
            return self._answered(request, operation, render(service, Refused(code, detail.strip())))
        failing = (detail.strip() or "InternalError:An internal error occurred.") if do == "ends-failed" else ""
        made = self._work(request, operation, corrupt=do == "bad-sha", failing=failing)
        if do == "slow-after":
            self._sleep(float(detail))
        elif do == "drop-after":
            self._write(request, operation, status=made.status, dropped=True, resource=made.resource)
            raise Dropped
        return self._answered(request, operation, made)

    def _work(self, request: Request, operation: Operation, *, corrupt: bool = False, failing: str = "") -> Answer:
        asked = Asked(
            world=self.world, request=request, caller=self._caller(request), arguments=operation.arguments,
            corrupt=corrupt, failing=failing, operation=operation.name,
        )  # fmt: skip
        try:
            return operation.work(asked)
        except Refused as refused:
            return render(request.signer[2], refused)
        except Exception:  # noqa: BLE001 - a defect of the stand-in: closing it tells
            self.broken.append(traceback.format_exc())
            return render(request.signer[2], Refused("InternalFailure", "the stand-in broke", 500))

    def _start_late(self, request: Request, operation: Operation, seconds: float) -> None:
        """Do the work after a while; the line of the log gets its status then."""
        at, given_up = self._write(request, operation, dropped=True), self._given_up

        def work() -> None:
            if not given_up.wait(seconds):
                made = self._work(request, operation)
                line = self.log[at]
                self.log[at] = dataclasses.replace(line, status=made.status, resource=made.resource or line.resource)

        thread = threading.Thread(target=work, daemon=True)
        with self._lock:
            self._late.append(thread)
        thread.start()

    def _answered(self, request: Request, operation: Operation | None, made: Answer) -> Answer:
        """Logged before it is sent: who has the answer finds the line."""
        self._write(request, operation, status=made.status, resource=made.resource)
        return made

    def _write(
        self, request: Request, operation: Operation | None, *, status: int = 0, dropped: bool = False,
        resource: str = "", size: int = -1,
    ) -> int:  # fmt: skip
        """A line of the log; where it stands."""
        _, region, service = request.signer
        call = Call(
            time=time.time(), region=region, service=service, operation=operation.name if operation else "?",
            status=status, dropped=dropped, size=len(request.body) if size < 0 else size,
            resource=resource or (operation.resource if operation else request.path),
            needs=tuple((one.action, one.resource) for one in operation.needs) if operation else (),
        )  # fmt: skip
        with self._lock:
            self.log.append(call)
            return len(self.log) - 1
