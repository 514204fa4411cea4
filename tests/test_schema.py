"""data/layers.schema.json says what the parser does: both are held against the same examples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from layerkit import checks, config, environment, publishing, running, targets
from layerkit.config import load
from layerkit.errors import ConfigError
from layerkit.model import Bytecode, Prune
from layerkit.verify.rules import rules
from layers_examples import BAD, GOOD, UNSEEN, Bad, Good, write

DATA = resources.files("layerkit") / "data"
ROOT = Path(__file__).parents[1]
SCHEMA = json.loads((DATA / "layers.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def schema_refuses(text: str) -> list[str]:
    """The paths of what the schema refuses in a file; an editor hands it over as JSON: keys and dates are texts."""
    data = json.loads(json.dumps(yaml.safe_load(text), default=str))
    return [error.json_path.removeprefix("$").removeprefix(".") for error in VALIDATOR.iter_errors(data)]


def sub(*path: str) -> Any:
    """A part of the schema, below its definitions."""
    part = SCHEMA["$defs"]
    for step in path:
        part = part[step]
    return part


def resolved(part: Any) -> Any:
    return sub(part["$ref"].rpartition("/")[2]) if "$ref" in part else part


CONTAINER = SCHEMA["properties"]["container"]["properties"]
PUBLISH = SCHEMA["properties"]["publish"]["properties"]
FUNCTION = sub("function", "properties")
BUCKET = sub("bucket", "anyOf")[1]["properties"]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("example", GOOD, ids=lambda example: example.name)
def test_good_examples_pass_both(example: Good, tmp_path: Path) -> None:
    assert load(write(tmp_path, example.text)).layers
    assert schema_refuses(example.text) == []


@pytest.mark.parametrize("example", BAD, ids=lambda example: example.name)
def test_bad_examples_are_told_by_the_parser(example: Bad, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, example.text))
    problems = caught.value.problems
    assert [(p.line, p.path) for p in problems] == [(line, path) for line, path, _ in example.problems], caught.value
    for problem, (_, _, words) in zip(problems, example.problems, strict=True):
        assert words in problem.message


@pytest.mark.parametrize("example", BAD, ids=lambda example: example.name)
def test_bad_examples_are_seen_by_the_schema_where_it_can(example: Bad, tmp_path: Path) -> None:
    try:
        refused = schema_refuses(example.text)
    except (yaml.YAMLError, TypeError):  # no JSON: an editor tells that without a schema
        assert not example.seen
        return
    assert bool(refused) == example.seen
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, example.text))
    for problem in caught.value.problems:
        if not any(words in problem.message for words in UNSEEN):
            # an unknown key, or an item that is here twice, is the schema's complaint about what holds it
            assert any(problem.path.startswith(path) and (path or "." not in problem.path) for path in refused), (
                problem
            )


@pytest.mark.parametrize("path", [ROOT / "layers.yaml", DATA / "starter.yaml"], ids=["layers.yaml", "starter.yaml"])
def test_our_own_files_pass_both(path: Path) -> None:
    assert load(path).layers
    assert schema_refuses(path.read_text(encoding="utf-8")) == []


def test_words_are_those_of_the_code() -> None:
    assert tuple(sub("architectures", "items", "enum")) == targets.ARCHITECTURES
    assert sub("bytecode", "enum") == list(Bytecode)
    assert sub("prune", "items", "enum") == list(Prune)
    assert sub("network", "enum") == list(environment.NETWORKS)
    assert sub("waive", "propertyNames", "enum") == list(rules())
    assert tuple(FUNCTION["environment"]["propertyNames"]["not"]["enum"]) == targets.reserved_variables()
    assert tuple(BUCKET["mode"]["enum"]) == publishing.MODES
    assert tuple(sub("runtimes", "items", "anyOf")[0]["enum"]) == targets.known_runtimes()


def test_runtimes_are_those_that_are_found() -> None:
    """The schema's pattern for newer runtimes begins where data/targets.toml ends."""
    names = [f"python3.{minor}" for minor in range(120)] + ["python3.012", "python3.x", "python4.1", "nodejs22.x"]
    runtime = Draft202012Validator(sub("runtimes", "items"))
    assert [n for n in names if runtime.is_valid(n)] == [n for n in names if targets.find_runtime(n)]


def test_defaults_are_those_that_hold(tmp_path: Path) -> None:
    """An editor shows them; a file that writes them out says the same as one that does not."""
    container = {key: resolved(part)["default"] for key, part in CONTAINER.items()}
    builds = {key: sub(key, "default") for key in environment.BUILD}
    builds["system_packages"] = sub("layer", "properties", "system_packages", "default")
    shared = {key: sub(key, "default") for key in ("runtimes", "architectures", "bytecode", "prune")}
    bucket = {key: part["default"] for key, part in BUCKET.items() if "default" in part}
    runs = {key: part["default"] for key, part in FUNCTION.items() if "default" in part}
    plain: dict[str, Any] = {"version": 1, "layers": {"a": {"source": "code"}}, "publish": {"bucket": "abc"}}
    plain["functions"] = {"f": {"layers": ["a"]}}
    full = {
        "version": 1,
        "container": container,
        "layers": {"a": {"source": "code", **shared, **builds}},
        "functions": {"f": {"layers": ["a"], **runs}},
        "publish": {"share": sub("share", "default"), "bucket": {"name": "abc", **bucket}},
    }
    path = write(tmp_path, yaml.safe_dump(plain))
    expected = load(path)
    path.write_text(yaml.safe_dump(full))
    assert load(path) == expected


def test_limits_are_those_of_aws_and_ours() -> None:
    assert sub("runtimes", "maxItems") == targets.limit("runtimes")
    assert len(sub("architectures", "items", "enum")) == targets.limit("architectures")
    assert sub("license", "maxLength") == targets.limit("license")
    assert sub("layer", "properties", "description", "maxLength") == targets.limit("description")
    assert sub("function", "properties", "layers", "maxItems") == targets.limit("layers_per_function")
    assert (sub("bucket_name", "minLength"), sub("bucket_name", "maxLength")) == publishing.BUCKET_LENGTH
    assert BUCKET["prefix"]["maxLength"] == publishing.PREFIX_LENGTH
    assert PUBLISH["parameters"]["maxLength"] == publishing.PARAMETERS_LENGTH
    assert (CONTAINER["step_minutes"]["minimum"], CONTAINER["step_minutes"]["maximum"]) == environment.STEP_MINUTES
    assert (FUNCTION["timeout"]["minimum"], FUNCTION["timeout"]["maximum"]) == running.timeouts() == (1, 900)
    assert (FUNCTION["memory"]["minimum"], FUNCTION["memory"]["maximum"]) == running.memories() == (128, 10240)
    name = Draft202012Validator(sub("layer", "properties", "name"))
    assert name.is_valid("n" * targets.limit("name"))
    assert not name.is_valid("n" * (targets.limit("name") + 1))


def test_keys_are_those_of_the_parser() -> None:
    assert set(SCHEMA["properties"]) == set(config.TOP)
    assert set(SCHEMA["properties"]["defaults"]["properties"]) == set(config.DEFAULTS)
    assert set(sub("layer", "properties")) == set(config.LAYER)
    assert set(sub("function", "properties")) == set(config.FUNCTION)
    assert set(CONTAINER) == set(environment.CONTAINER)
    assert set(SCHEMA["properties"]["defaults"]["properties"]["verify"]["properties"]) == set(checks.DEFAULTS)
    assert set(sub("layer", "properties", "verify", "properties")) == set(checks.LAYER)
    assert set(sub("function", "properties", "verify", "properties")) == set(checks.FUNCTION)
    assert set(PUBLISH) == set(publishing.PUBLISH)
    assert set(sub("share")["anyOf"][1]["properties"]) == set(publishing.SHARE)
    assert set(BUCKET) == set(publishing.PLACE)


def test_patterns_are_those_of_the_parser() -> None:
    share = sub("share")["anyOf"][1]["properties"]
    patterns = {
        FUNCTION["environment"]["propertyNames"]["pattern"]: running.VARIABLE,
        FUNCTION["environment"]["additionalProperties"]["pattern"]: running.CONTENT,
        SCHEMA["properties"]["layers"]["propertyNames"]["pattern"]: config.KEY,
        sub("layer", "properties", "name", "pattern"): config.NAME,
        sub("function", "properties", "handler", "pattern"): config.HANDLER,
        sub("folder", "pattern"): config.FOLDER,
        sub("regions", "items", "pattern"): publishing.REGION,
        sub("image", "pattern"): environment.IMAGE,
        sub("layer", "properties", "system_packages", "items", "pattern"): environment.PACKAGE,
        share["accounts"]["items"]["anyOf"][0]["pattern"]: publishing.ACCOUNT,
        share["organization"]["pattern"]: publishing.ORGANIZATION,
        sub("layer", "properties", "verify", "properties", "imports", "items", "pattern"): checks.MODULE,
        sub("licenses", "items", "pattern"): checks.LICENSE,
        sub("bucket_name", "pattern"): publishing.BUCKET,
        BUCKET["prefix"]["pattern"]: publishing.PREFIX,
        PUBLISH["parameters"]["pattern"]: publishing.PARAMETERS,
    }
    assert {schema: f"^{parser}$" for schema, parser in patterns.items()} == {schema: schema for schema in patterns}


def properties(part: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(part, dict):
        for key, value in part.get("properties", {}).items() if "additionalProperties" in part else ():
            yield f"{path}.{key}", value
    for key, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        yield from properties(value, f"{path}.{key}")


@pytest.mark.parametrize(("path", "value"), [pytest.param(p, v, id=p) for p, v in properties(SCHEMA)])
def test_every_key_is_described(path: str, value: dict[str, Any]) -> None:
    words = value.get("description") or sub(value["$ref"].rpartition("/")[2]).get("description")
    assert words, "an editor shows nothing on hover"
    assert len(words) <= 200
