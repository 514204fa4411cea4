"""The table of contents of `layerkit attach`.

FUNCTION and --layers -> FunctionVersion and Reference -> Chosen -> Plan -> dist/attached.json -> the function in AWS,
a version of it, its alias.  `--rollback` goes the other way, by what attached.json tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from layerkit import config
from layerkit.attach import report
from layerkit.attach.apply import Changer
from layerkit.attach.back import Back
from layerkit.attach.choose import Chooser, unzipped_sizes
from layerkit.attach.forward import Forward
from layerkit.attach.plan import Plan
from layerkit.attach.progress import Progress
from layerkit.attach.record import Place
from layerkit.attach.recorder import Recorder
from layerkit.attach.references import Reference, references
from layerkit.attach.report import Result
from layerkit.attach.request import AttachRequest, FunctionName, function_name
from layerkit.aws import regions
from layerkit.aws.pace import Limiter, Patience
from layerkit.aws.registry import Estate, Turns
from layerkit.errors import ConfigError
from layerkit.model import LayersFile
from layerkit.publish import published
from layerkit.reader import nearest


class Account(regions.Account, Protocol):
    """An account of AWS: `aws.account` has the real one."""

    number: str

    def region(self, name: str, limiter: Turns) -> Estate: ...


def attach(
    request: AttachRequest,
    connect: Callable[[str], Account],
    says: regions.Says,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Bring one function to the layers that are asked for, or back.

    `connect` makes the account, given the region, or "" while none is known.  Raises ConfigError, ContentError and
    MachineError where nothing is begun; OperationFailed where nothing is changed; AwsError, too, or where nobody
    knows; DonePartly where something is.
    """
    file = config.load(request.file) if request.file.exists() else LayersFile(path=request.file, layers={})
    name = function_name(request.function)
    wanted = [] if request.rollback else _references(request, name, file)
    told = published.read(request.output)
    given = _regions(request, name)
    account = connect(regions.first(given, file.publishing.regions))
    region = _one(regions.of(account, given, file.publishing.regions, says, every=False))
    if name.account not in ("", account.number):
        why = f"it is of the account {name.account}, and the credentials are of {account.number}"
        raise ConfigError("is another account's function", where=request.function, why=why, cure="use its --profile")
    patience = Patience(sleep=sleep)
    estate = account.region(region, Limiter(request.rate, sleep=sleep))
    place = Place(account=account.number, region=region, function=name.name)
    progress = Progress(where=f"{name.name} in {region}")
    changer = Changer(functions=estate.functions, versions=estate.layers, name=name.name, patience=patience,
                      wait=request.wait, progress=progress)  # fmt: skip
    planned = partial(_say, says, name.name)
    with progress.told():
        if request.rollback:
            back = Back(place=place, folder=request.output, changer=changer, planned=planned)
            return back.run(dry_run=request.dry_run)
        chooser = Chooser(layers=estate.layers, account=account.number, published=told, keys=tuple(file.layers),
                          sizes=unzipped_sizes(request.output), patience=patience)  # fmt: skip
        forward = Forward(
            place=place,
            changer=changer,
            recorder=Recorder(folder=request.output, place=place),
            choose=partial(chooser.choose, wanted),
            publish=request.publish_version,
            alias=request.alias,
            planned=planned,
        )
        return forward.dry() if request.dry_run else forward.run()


def _references(request: AttachRequest, name: FunctionName, file: LayersFile) -> list[Reference]:
    """The layers of the command line, else of layers.yaml's function of this name."""
    if request.layers:
        return references(request.layers, file.layers)
    function = file.functions.get(name.name)
    if function and function.layers:
        return references(function.layers, file.layers)
    meant = nearest(name.name, file.functions)
    why = f"layers.yaml declares no layers for {name.name!r} (functions:){meant}"
    cure = f"name them: layerkit attach {name.name} --layers LAYER,LAYER"
    raise ConfigError("there are no layers to attach", where=str(request.file), why=why, cure=cure)


def _regions(request: AttachRequest, name: FunctionName) -> tuple[str, ...]:
    """Those of the command line; a function's ARN names its own."""
    if not name.region:
        return request.regions
    if request.regions and set(",".join(request.regions).replace(" ", "").split(",")) != {name.region}:
        why = f"the ARN's region is {name.region}, and --region is {', '.join(request.regions)}"
        raise ConfigError("is in another region", where=request.function, why=why, cure="leave --region away")
    return (name.region,)


def _one(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return names[0]
    what = f"one region is attached in at a time, and there are {len(names)}: {', '.join(names)}"
    raise ConfigError(what, where=regions.FLAG, cure=f"name one: {regions.FLAG} {names[0]}")


def _say(says: regions.Says, function: str, plan: Plan) -> None:
    for line in report.lines(function, plan):
        says.note(line)
