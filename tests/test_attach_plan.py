"""What attaching would change, and every reason against it."""

from __future__ import annotations

from typing import Any

import pytest

from attaching import ACCOUNT, arn, function, layer, wanted
from layerkit.attach.choose import gone
from layerkit.attach.plan import difference, plan
from layerkit.attach.references import Reference, references
from layerkit.attach.request import FunctionName, alias_name, function_name
from layerkit.aws.nouns import LayerVersion
from layerkit.aws.pace import Patience
from layerkit.errors import ConfigError
from layerkit.model import Layer

MIB = 2**20
A3, A4, B1 = arn("alpha", 3), arn("alpha", 4), arn("beta", 1)


def refusals(*versions: LayerVersion, unzipped: int = 0, has: tuple[str, ...] = (), **more: Any) -> str:
    return "\n".join(plan(function(*has, **more), wanted(*versions, unzipped=unzipped)).refusals)


def test_the_plan() -> None:
    found = plan(function(arn("gamma", 1), A3), wanted(layer("beta", 1), layer("alpha", 4)))
    assert found.before == (arn("gamma", 1), A3)
    assert found.after == (arn("gamma", 1), A4, B1)
    assert [step.words for step in found.steps] == ["alpha 3 -> 4", "beta new (1)"]
    assert (found.notes, found.refusals, found.unchanged) == ((), (), False)


def test_what_is_there_already_is_left() -> None:
    found = plan(function(A4), wanted(layer("alpha", 4)))
    assert found.unchanged
    assert [step.words for step in found.steps] == ["alpha 4 stays"]


def test_notes() -> None:
    theirs = arn("alpha", 9, account="210987654321")
    found = plan(function(theirs, A4, environment_error="no key"), wanted(layer("alpha", 3, runtimes=())))
    assert found.after == (theirs, A3)
    assert found.notes == (
        "nobody knows whether PYTHONPATH is set on it, which would hide layers: no key",
        "alpha 3 has no tags that tell which runtimes it is for",
        "alpha goes back from version 4 to 3",
        f"another account's alpha stays beside it (210987654321): {theirs}",
    )


def test_a_container_image_takes_none() -> None:
    assert "container image" in refusals(layer("alpha", 4), image=True, runtime="")


def test_all_reasons_are_told_at_once() -> None:
    bad = layer("alpha", 4, runtimes=("python3.13",), architectures=("x86_64",))
    told = refusals(bad, has=tuple(arn(f"l{n}", 1) for n in range(5)), python_path="/var/task/lib").splitlines()
    assert [line.partition(":")[0] for line in told] == [
        "alpha 4 is for python3.13, and the function is python3.12",
        "alpha 4 is for x86_64, and the function is arm64",
        "PYTHONPATH is set on it ('/var/task/lib'), so Python does not look into layers",
        "it would have 6 layers, and AWS takes 5",
    ]
    assert "replaces all variables" in told[2]


@pytest.mark.parametrize("given", ["/opt/python", "/var/task/lib:/opt/python/"])
def test_a_python_path_with_the_layers_in_it_is_well(given: str) -> None:
    assert refusals(layer("alpha", 4), python_path=given) == ""


def test_a_python_path_counts_when_it_is_empty_and_matters_to_python_alone() -> None:
    assert "PYTHONPATH" in refusals(layer("alpha", 4), python_path="")
    assert refusals(layer("alpha", 4, runtimes=("nodejs22.x",)), python_path="/x", runtime="nodejs22.x") == ""


def test_another_regions_layer() -> None:
    assert "us-east-1" in refusals(layer("alpha", 4, arn=arn("alpha", 4, region="us-east-1")))


@pytest.mark.parametrize(
    ("unzipped", "zipped", "code", "fits"),
    [(250 * MIB, 1, 0, True), (250 * MIB + 1, 1, 0, False), (0, 250 * MIB, 0, True), (0, 290 * MIB, 0, False),
     (240 * MIB, 1, 12 * MIB, False), (240 * MIB, 1, 9 * MIB, True)],
)  # fmt: skip
def test_what_is_certainly_too_large_is_refused(unzipped: int, zipped: int, code: int, fits: bool) -> None:
    told = refusals(layer("alpha", 4, size=zipped), unzipped=unzipped, code_size=code)
    assert (told == "") == fits
    assert fits or "AWS takes 262144000" in told


def test_layers_that_stay_count_with_their_zips() -> None:
    has: dict[str, Any] = {"has": (A3, B1), "layer_sizes": (200 * MIB, 200 * MIB)}
    assert refusals(layer("alpha", 4, size=1), **has) == ""  # the old version goes
    assert "together" in refusals(layer("gamma", 4, size=1), **has)


def test_the_difference_of_two_lists() -> None:
    steps = difference((A3, B1), (A4, arn("gamma", 2)))
    assert [step.words for step in steps] == ["alpha 3 -> 4", "gamma new (2)", "beta goes (1)"]
    assert difference((A3,), (A3,)) == ()


DECLARED = {
    "flask": Layer(key="flask", name="flask-layer", targets=()),
    "own": Layer(key="own", name="own", targets=()),
}


def test_words_for_layers() -> None:
    theirs = arn("deps", 2, account="210987654321")
    found = references(["flask, other:7", "flask-layer:3", theirs, "flask"], DECLARED)
    assert found == [
        Reference(word="flask", name="flask-layer", key="flask"),
        Reference(word="other:7", name="other", version=7),
        Reference(word="flask-layer:3", name="flask-layer", key="flask", version=3),
        Reference(word=theirs, name=theirs.rpartition(":")[0], version=2, region="eu-west-1"),
    ]


def test_words_that_are_none_are_all_told() -> None:
    with pytest.raises(ConfigError) as caught:
        references(["a b/c", A3.rpartition(":")[0], "flask:0", "flask:latest"], DECLARED)
    assert [line.partition(" is ")[2] for line in caught.value.why.splitlines()] == [
        "no layer's name, and no layer version's ARN",
        "a layer's ARN without the version",
        "no layer's name, and no layer version's ARN",
        "no layer's name, and no layer version's ARN",
    ]
    with pytest.raises(ConfigError, match="names no layer"):
        references([" , "], DECLARED)


def test_words_for_functions() -> None:
    full = f"arn:aws-cn:lambda:cn-north-1:{ACCOUNT}:function:api"
    assert function_name("api") == FunctionName(name="api")
    assert function_name(full) == FunctionName(name="api", region="cn-north-1", account=ACCOUNT)
    with pytest.raises(ConfigError, match="version or an alias") as caught:
        function_name(f"{full}:live")
    assert "layerkit attach api --alias NAME" in caught.value.cure
    for wrong in ("", "a b", "api:live", full[:-3], f"{full}/x", "x" * 65):
        with pytest.raises(ConfigError, match="is not the name of a function"):
            function_name(wrong)


def test_words_for_an_alias() -> None:
    assert alias_name("live-2_x") == "live-2_x"
    for wrong in ("", "7", "a b", "$LATEST", "x" * 129):  # --alias "$UNSET" must not attach without the alias
        with pytest.raises(ConfigError, match="is no alias's name"):
            alias_name(wrong)


def test_what_is_gone_is_looked_for_by_its_arn() -> None:
    class Layers:
        def get(self, name: str, version: int) -> LayerVersion | None:
            return None if (name, version) == (A3.rpartition(":")[0], 3) else layer("beta", 1)

    layers: Any = Layers()
    assert gone(layers, [A3, B1, "arn:aws:lambda:::awslayer:AmazonLinux1803"], Patience()) == [A3]
