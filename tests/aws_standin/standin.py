"""The stand-in as tests hold it: start it, tell it what shall go wrong, look at what it has and what it was asked."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aws_standin import iam, making
from aws_standin.dispatch import Dispatch
from aws_standin.faults import ENDLESS, Fault
from aws_standin.nouns import Answer, Call, Json, Refused, Request, answer
from aws_standin.refusals import render
from aws_standin.server import Server
from aws_standin.world import Bucket, Caller, Options, World

READING = ("Get", "List", "Head", "Describe", "Assume", "?")


class Standin:
    """AWS on 127.0.0.1, from when it is made until `close`; also a context manager."""

    def __init__(
        self, options: Options, port: int = 0, *, clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:  # fmt: skip
        self.options, self.world = options, World(options, clock)
        self._dispatch = Dispatch(options, self.world, clock, sleep)
        self._server = Server(port, self._dispatch.admit, self._serve)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Standin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop.  Raises RuntimeError when the stand-in itself fell over a request."""
        self._server.close()
        self._thread.join()
        self._dispatch.reset()
        broken = self._dispatch.broken + self._server.broken
        if broken:
            raise RuntimeError("the stand-in broke:\n" + "\n".join(broken))

    def settle(self) -> None:
        """Wait until late work is done."""
        self._dispatch.settle()

    def reset(self) -> None:
        """As new: nothing stored, no faults, an empty log."""
        self._dispatch.reset()
        self.world.reset()

    def fault(
        self,
        operation: str,
        do: str,
        *,
        region: str = "",
        times: int | None = None,
        after: int = 0,
        resource: str = "",
    ) -> None:
        """Let `do` happen to the next `times` calls (1; `down`: until cleared) of an operation ("*": any).

        A region or a part of a resource (layer name, bucket/key, parameter, function) narrows it; `after` calls
        pass before.  do: drop-before, drop-after, late:SECONDS, slow:SECONDS, slow-after:SECONDS, bad-sha, down,
        expired, ends-failed:CODE:WORDS (what is begun on a function ends so), or an error code of AWS, with a message
        of your own after a colon.
        """
        down = do == "down"
        count = (ENDLESS if down else 1) if times is None else times
        operation = "*" if down else operation
        self._dispatch.faults.add(
            Fault(operation=operation, do=do, region=region, times=count, after=after, resource=resource)
        )

    def clear(self, region: str = "") -> None:
        """Forget the faults, of one region or all."""
        self._dispatch.faults.clear(region)

    @property
    def log(self) -> list[Call]:
        """Every call, oldest first."""
        return list(self._dispatch.log)

    def calls(self, operation: str = "", *, region: str = "", service: str = "") -> list[Call]:
        """The calls of an operation, a region, a service."""
        return [
            call
            for call in self.log
            if operation in ("", call.operation) and region in ("", call.region) and service in ("", call.service)
        ]

    def writes(self) -> list[Call]:
        """Calls that would change something, whatever became of them."""
        return [call for call in self.log if not call.operation.startswith(READING)]

    def layers(self, region: str, account: str = "") -> list[str]:
        """The names of layers that there are or were."""
        place = self.world.place(account or self.options.account, region)
        with place.lock:
            return sorted(place.layers)

    def versions(self, region: str, name: str, account: str = "") -> list[Json]:
        """A layer's versions, oldest first: what a list tells, CodeSha256, CodeSize, and `policy`: its statements."""
        place = self.world.place(account or self.options.account, region)
        with place.lock:
            layer = place.layers.get(name)
            return [
                {**one.document, **one.content, "policy": list(one.policy)}
                for _, one in sorted(layer.versions.items() if layer else ())
            ]

    def archive(self, region: str, name: str, version: int) -> bytes:
        """The zip of a version."""
        place = self.world.place(self.options.account, region)
        with place.lock:
            return place.layers[name].versions[version].blob.data

    def parameters(self, region: str, account: str = "") -> dict[str, str]:
        """Values by name."""
        place = self.world.place(account or self.options.account, region)
        with place.lock:
            return {name: versions[-1]["Value"] for name, versions in place.parameters.items()}

    def objects(self, bucket: str) -> dict[str, bytes]:
        """What a bucket has now, by key."""
        with self.world.lock:
            newest = {key: versions[-1] for key, versions in self.world.buckets[bucket].objects.items() if versions}
            return {key: one.blob.data for key, one in newest.items() if one.blob}

    def uploads(self, bucket: str) -> list[str]:
        """The keys of uploads in parts that were neither completed nor aborted."""
        with self.world.lock:
            return [upload.key for upload in self.world.buckets[bucket].uploads.values()]

    def make_bucket(self, name: str, region: str, versioning: bool = False, account: str = "") -> None:
        made = Bucket(name=name, region=region, account=account or self.options.account)
        made.versioning = "Enabled" if versioning else ""
        with self.world.lock:
            self.world.buckets[name] = made

    def make_function(
        self, region: str, name: str, layers: Iterable[str] = (), *, versions: Iterable[Iterable[str]] = (),
        runtime: str = "python3.12", architecture: str = "x86_64", environment: Mapping[str, str] | None = None,
        image: bool = False, unzipped: int = 1000, account: str = "", **more: Any,
    ) -> None:  # fmt: skip
        """A function that is there; `layers` are ARNs, which nobody checks, and `versions` those of each version.

        unzipped: bytes of its own code; more: other members of its document, as Lambda names them.
        """
        making.make_function(
            self.world, self._caller(region, account), name, layers=layers, versions=versions, runtime=runtime,
            architecture=architecture, environment=environment, image=image, unzipped=unzipped, **more,
        )  # fmt: skip

    def make_alias(
        self, region: str, function: str, name: str, version: str, *, weights: Mapping[str, float] | None = None,
        account: str = "",
    ) -> None:  # fmt: skip
        """An alias of a function that is there; weights: what share of calls other versions get."""
        making.make_alias(self.world, self._caller(region, account), function, name, version, weights or {})

    def role(
        self, account: str, name: str, policy: Json | str, *, trust: Json | str = "", session: str = "test"
    ) -> str:
        """An access key, without a token and without an end, of a role that may do what its policy allows.

        Raises ValueError for a policy that IAM would not take.
        """
        arn = f"arn:aws:iam::{account}:role/{name}"
        made = iam.role(arn, {"policy": policy, "trust": trust})
        with self.world.lock:
            self.world.roles[arn] = made
            key = f"AKIA{len(self.world.sessions):016d}"
            self.world.sessions[key] = iam.Session(role=made, name=session)
        return key

    def functions(self, region: str, account: str = "") -> list[Json]:
        """What Lambda tells of each function, with `versions` (published, oldest first) and `aliases` beside."""
        return making.functions(self.world, self._caller(region, account))

    def _caller(self, region: str, account: str) -> Caller:
        return Caller(account=account or self.options.account, region=region)

    def state(self) -> Json:
        """Everything but the bytes."""
        with self.world.lock:
            places, buckets = sorted(self.world.places), sorted(self.world.buckets)
        names = [(account, region, name) for account, region in places for name in self.layers(region, account)]
        return {
            "layers": [
                {"account": account, "region": region, "name": name, "versions": self.versions(region, name, account)}
                for account, region, name in names
            ],
            "parameters": [
                {"account": account, "region": region, "values": self.parameters(region, account)}
                for account, region in places
            ],
            "functions": [
                {"account": account, "region": region, **function}
                for account, region in places
                for function in self.functions(region, account)
            ],
            "buckets": {name: sorted(self.objects(name)) for name in buckets},
        }

    def _serve(self, request: Request) -> Answer:
        """Control for other processes, archives behind Content.Location, and AWS."""
        path, (signed, _, _) = request.path, request.signer
        if signed or not path.startswith("/_"):
            return self._dispatch.serve(request)
        if path.startswith("/_archive/"):
            return self._archived(request)
        if path == "/_log":
            return answer([dataclasses.asdict(call) for call in self.log])
        if path == "/_state":
            return answer(self.state())
        if path == "/_reset":
            self.reset()
        elif path == "/_faults" and request.method == "DELETE":
            self.clear(request.query.get("region", ""))
        elif path == "/_faults":
            for one in json.loads(request.body):
                operation = one.pop("op", "*")  # the short name, too
                self.fault(one.pop("operation", operation), one.pop("do"), **one)
        else:
            return answer({"message": "Not Found"}, 404)
        return answer({})

    def _archived(self, request: Request) -> Answer:
        account, region, name, number = request.path.split("/")[2:]
        place = self.world.place(account, region)
        with place.lock:
            layer = place.layers.get(name)
            version = layer.versions.get(int(number)) if layer else None
        if not version or time.time() - float(request.query.get("t", 0)) > 600:  # seconds: the model's words
            return render("s3", Refused("AccessDenied", "Request has expired"))
        return Answer(body=version.blob.data, headers={"Content-Type": "application/zip"})
