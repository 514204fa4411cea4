"""What attaching would change of a function, and every reason against it.  Pure: nothing is asked, nothing done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from layerkit import targets
from layerkit.attach.choose import Wanted
from layerkit.attach.references import account_of, layer_of, name_of, number_of, region_of
from layerkit.aws.nouns import FunctionVersion

OPT = "/opt/python"
# A zip has its own headers besides what is packed; what comes out is at least so much of its size.
AT_LEAST = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What becomes of one layer of the function."""

    name: str
    before: int  # the version that it has; 0: the layer is new
    after: int  # the version that it shall have; 0: the layer goes
    arn: str = ""  # of that version
    why: str = ""  # that version

    @property
    def words(self) -> str:
        """`flask-layer 3 -> 4`, `flask-layer new (5)`, `flask-layer 4 stays`, `flask-layer goes (4)`."""
        if not self.before:
            return f"{self.name} new ({self.after})"
        if not self.after:
            return f"{self.name} goes ({self.before})"
        return f"{self.name} {self.after} stays" if self.same else f"{self.name} {self.before} -> {self.after}"

    @property
    def same(self) -> bool:
        return self.before == self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The layers that a function has and shall have, in the order in which they are unpacked."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    steps: tuple[Step, ...]  # of the wanted layers, in the order of `after`
    notes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()  # why it must not be done, a sentence each

    @property
    def unchanged(self) -> bool:
        return self.before == self.after


def plan(function: FunctionVersion, wanted: Sequence[Wanted]) -> Plan:
    """Each wanted layer's version takes the place of the layer's older one; what is new follows, in its order.

    Nothing else of the function is touched: other layers, and the order of what is there, stay as they are, since
    in what two layers both have, the later one wins (AWS: "Packaging layers", merged in the listed order).
    """
    chosen = {layer_of(one.version.arn): one for one in wanted}
    there = {layer_of(arn): number_of(arn) for arn in function.layers}
    shall = {layer: one.version.arn for layer, one in chosen.items()}
    kept = [shall.get(layer_of(arn), arn) for arn in function.layers]
    after = (*kept, *(arn for layer, arn in shall.items() if layer not in there))
    steps = [
        Step(name=name_of(arn), before=there.get(layer, 0), after=number_of(arn), arn=arn, why=chosen[layer].why)
        for layer, arn in shall.items()
    ]
    return Plan(
        before=function.layers,
        after=after,
        steps=tuple(sorted(steps, key=lambda step: after.index(step.arn))),
        notes=(
            *_environment_unknown(function),
            *_tags_unknown(wanted),
            *_backwards(steps),
            *_namesakes(function, chosen),
        ),
        refusals=tuple(_refusals(function, wanted, after)),
    )


def _refusals(function: FunctionVersion, wanted: Sequence[Wanted], after: Sequence[str]) -> list[str]:
    if function.image:
        return ["it is a container image, which takes no layers: install their content into the image"]
    region = region_of(function.arn)
    found = []
    for one in wanted:
        label = f"{one.version.name} {one.version.version}"
        if region_of(one.version.arn) != region:
            found.append(f"{label} is in {region_of(one.version.arn)}, and the function in {region}")
        for is_for, has, cure in (
            (one.runtimes, function.runtime, "runtimes"),
            (one.architectures, function.architecture, "architectures"),
        ):
            if is_for and has not in is_for:
                words = f"{label} is for {', '.join(is_for)}, and the function is {has}"
                found.append(f"{words}: build and publish it for that, too (layers.yaml: {cure}), or name another")
    if mistake := _python_path(function):
        found.append(mistake)
    most = targets.limit("layers_per_function")
    if len(after) > most:
        names = ", ".join(map(name_of, after))
        found.append(f"it would have {len(after)} layers, and AWS takes {most}: {names}")
    if mistake := _size(function, wanted, after):
        found.append(mistake)
    return found


def _python_path(function: FunctionVersion) -> str:
    """Source: /var/runtime/bootstrap.py of the runtimes, which adds /opt only where PYTHONPATH is not set at all."""
    given = function.python_path
    if given is None or not function.runtime.startswith("python"):
        return ""
    if OPT in (path.rstrip("/") for path in given.split(":")):
        return ""
    return (
        f"PYTHONPATH is set on it ({given!r}), so Python does not look into layers: take it away, or add {OPT} to "
        "it, where the function is declared. Beware: aws lambda update-function-configuration --environment replaces "
        f"all variables; see them first: aws lambda get-function-configuration --function-name {function.name} "
        "--query Environment"
    )


def _size(function: FunctionVersion, wanted: Sequence[Wanted], after: Sequence[str]) -> str:
    """What is certain to be too large.  What nobody knows here is left to AWS, which refuses before it changes it."""
    zips = dict(zip(function.layers, function.layer_sizes, strict=False))
    zips |= {one.version.arn: one.version.size for one in wanted}
    unzipped = {one.version.arn: one.unzipped for one in wanted if one.unzipped}
    least = int(function.code_size * AT_LEAST)
    least += sum(unzipped.get(arn) or int(zips.get(arn, 0) * AT_LEAST) for arn in after)
    most = targets.limit("unzipped_bytes")
    if least <= most:
        return ""
    return f"function and layers have at least {least} bytes together, unzipped; AWS takes {most}"


def _environment_unknown(function: FunctionVersion) -> list[str]:
    if not function.environment_error:
        return []
    return [f"nobody knows whether PYTHONPATH is set on it, which would hide layers: {function.environment_error}"]


def _tags_unknown(wanted: Sequence[Wanted]) -> list[str]:
    return [
        f"{one.version.name} {one.version.version} has no tags that tell which {what} it is for"
        for one in wanted
        for what, tags in (("runtimes", one.runtimes), ("architectures", one.architectures))
        if not tags
    ]


def _backwards(steps: Sequence[Step]) -> list[str]:
    return [
        f"{step.name} goes back from version {step.before} to {step.after}"
        for step in steps
        if step.before > step.after
    ]


def difference(before: Sequence[str], after: Sequence[str]) -> tuple[Step, ...]:
    """What becomes of the layers that are not the same in two lists of layer versions."""
    had = {layer_of(arn): arn for arn in before}
    has = {layer_of(arn): arn for arn in after}
    steps = [
        Step(
            name=name_of(has.get(layer) or had[layer]),
            before=number_of(had[layer]) if layer in had else 0,
            after=number_of(has[layer]) if layer in has else 0,
            arn=has.get(layer, ""),
        )
        for layer in dict.fromkeys([*has, *had])
    ]
    return tuple(step for step in steps if not step.same)


def _namesakes(function: FunctionVersion, chosen: dict[str, Wanted]) -> list[str]:
    names = {one.version.name for one in chosen.values()}
    return [
        f"another account's {name_of(arn)} stays beside it ({account_of(arn)}): {arn}"
        for arn in function.layers
        if layer_of(arn) not in chosen and name_of(arn) in names
    ]
