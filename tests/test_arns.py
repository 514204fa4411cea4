"""`layerkit arns`: which ARNs, under which names, and each form in its own language."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from layerkit import config
from layerkit.arns import FORMS, select
from layerkit.arns.hcl import quoted
from layerkit.arns.people import HEAD
from layerkit.errors import ConfigError, ContentError
from layerkit.publish.published import Entry
from test_published import BOTH, entry

FLASK, WSGI = entry(), entry("serverless-wsgi", version=7)
EU = entry(region="eu-west-1", version=3)
X86 = entry(architectures=["x86_64"], name="flask-x86")
PUBLISHED = [FLASK, EU, X86, WSGI]
ARN = "arn:aws:lambda:us-east-1:123456789012:layer:flask-layer:1"
keys = st.from_regex(config.KEY, fullmatch=True).map(lambda key: key[:130])


def refused(call: Callable[..., object], *arguments: Any, **options: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        call(*arguments, **options)
    assert caught.value.where == "published.json"
    assert caught.value.cure
    return caught.value


# Which


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [FLASK, EU, X86, WSGI]),
        ({"layers": ["serverless-wsgi"]}, [WSGI]),
        ({"layers": ["serverless-wsgi-layer"]}, [WSGI]),  # its name in AWS
        ({"layers": ["serverless-wsgi", "flask"]}, [WSGI, EU, FLASK, X86]),
        ({"layers": ["flask", "flask"]}, [EU, FLASK, X86]),
        ({"order": ["serverless-wsgi", "flask"]}, [WSGI, EU, FLASK, X86]),
        ({"order": ["serverless-wsgi", "flask"], "layers": ["flask", "serverless-wsgi"]}, [EU, FLASK, X86, WSGI]),
        ({"order": ["serverless-wsgi"]}, [WSGI, EU, FLASK, X86]),
        ({"regions": ["eu-west-1"]}, [EU]),
        ({"regions": ["us-east-1", "eu-west-1"], "layers": ["flask"]}, [EU, FLASK, X86]),
        ({"architectures": ["arm64"]}, [EU, FLASK, WSGI]),
        ({"architectures": ["arm64", "x86_64"]}, [EU, FLASK, X86, WSGI]),
        ({"runtimes": ["python3.12"]}, [EU, FLASK, X86, WSGI]),
        ({"account": "123456789012"}, [EU, FLASK, X86, WSGI]),
    ],
)
def test_what_is_asked_for(options: dict[str, Any], expected: list[Entry]) -> None:
    found = select(PUBLISHED, **options)
    assert found == (expected if options else sorted(expected, key=lambda one: one.key))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": ["flsk"]}, "the layer 'flsk'; did you mean 'flask'?"),
        ({"layers": ["zzzzzz"]}, "known: flask, flask-layer, flask-x86, serverless-wsgi, serverless-wsgi-layer"),
        ({"regions": ["us-east-11"]}, "the region 'us-east-11'; did you mean 'us-east-1'?"),
        ({"runtimes": ["python3.2"]}, "the runtime 'python3.2'; did you mean 'python3.12'?"),
        ({"architectures": ["amd64"]}, "the architecture 'amd64'; did you mean 'arm64'?"),
        ({"account": "123456789013"}, "the account '123456789013'; did you mean '123456789012'?"),
        (
            {"layers": ["flask", "serverless-wsgi"], "regions": ["us-east-1", "eu-west-1"]},
            "layer 'serverless-wsgi' is not published in eu-west-1 as it is asked for",
        ),
        ({"regions": ["eu-west-1"], "architectures": ["x86_64"]}, "no layer is published in eu-west-1"),
        ({"layers": ["serverless-wsgi"], "architectures": ["x86_64"]}, "'serverless-wsgi' is not published as it is"),
    ],
)
def test_what_is_not_published(options: dict[str, Any], words: str) -> None:
    assert words in str(refused(select, PUBLISHED, **options))


def test_the_cure_of_a_hole_is_its_command() -> None:
    error = refused(select, PUBLISHED, layers=["serverless-wsgi"], regions=["eu-west-1"])
    assert error.cure == "layerkit publish serverless-wsgi --region eu-west-1"


def test_nothing_is_published() -> None:
    with pytest.raises(ContentError) as caught:
        select([], layers=["flask"])
    assert caught.value.cure == "layerkit publish"


# Names: one rule for all forms


def arns(entries: Sequence[Entry]) -> Any:
    return json.loads(FORMS["json"](entries))


def test_a_layer_has_its_keys_name() -> None:
    assert arns([EU, FLASK, WSGI]) == {
        "eu-west-1": {"flask": EU.arn},
        "us-east-1": {"flask": ARN, "serverless-wsgi": WSGI.arn},
    }


def test_targets_tell_the_zips_of_one_layer_apart_in_all_regions() -> None:
    assert arns(select(PUBLISHED)) == {
        "eu-west-1": {"flask-python312-arm64": EU.arn},
        "us-east-1": {
            "flask-python312-arm64": ARN,
            "flask-python312-x86_64": X86.arn,
            "serverless-wsgi": WSGI.arn,
        },
    }
    assert arns(select(PUBLISHED, regions=["us-east-1"], architectures=["x86_64"])) == {
        "us-east-1": {"flask": X86.arn}
    }


def test_one_zip_for_several_targets_needs_no_longer_name() -> None:
    assert list(arns([entry(runtimes=["python3.12", "python3.13"], architectures=BOTH)])["us-east-1"]) == ["flask"]
    several = [entry(runtimes=["python3.12", "python3.13"]), entry(runtimes=[], architectures=[], name="other")]
    assert list(arns(several)["us-east-1"]) == ["flask-python312-python313-arm64", "flask"]


NAMED = [name for name in FORMS if name not in ("table", "markdown")]


@pytest.mark.parametrize("form", NAMED)
def test_two_accounts_need_a_choice(form: str) -> None:
    entries = [FLASK, entry(account="210987654321")]
    error = refused(FORMS[form], entries)
    assert "is published in the accounts 123456789012 and 210987654321" in error.what
    assert error.cure == "choose one, for instance --account 123456789012"
    assert ARN in FORMS[form](select(entries, account="123456789012"))
    assert FORMS["table"](entries).count("arn:") == FORMS["markdown"](entries).count("arn:") == 2


def test_accounts_in_regions_of_their_own_need_none() -> None:
    china = entry(region="cn-north-1", account="210987654321", partition="aws-cn")
    assert list(arns([FLASK, china])) == ["cn-north-1", "us-east-1"]


def test_two_layers_may_not_have_one_name() -> None:
    error = refused(FORMS["json"], [FLASK, X86, entry("flask-python312-arm64")])
    assert "'flask' and 'flask-python312-arm64' would both be called 'flask-python312-arm64'" in error.what


@pytest.mark.parametrize(
    ("form", "layers", "word"),
    [
        ("env", ("a-b", "a_b"), "A_B_LAYER_ARN"),
        ("env", ("ab", "AB"), "AB_LAYER_ARN"),
        ("sam", ("a-b", "a_b"), "AB"),
        ("github-output", ("flask", "Flask"), "Flask"),
        ("github-output", ("1a", "_1a"), "_1a"),
    ],
)
def test_names_that_a_form_cannot_tell_apart(form: str, layers: tuple[str, str], word: str) -> None:
    error = refused(FORMS[form], [entry(layer) for layer in layers])
    assert f"would both be called {word!r}" in error.what
    assert all(FORMS[form]([entry(layer)]) for layer in layers)


@pytest.mark.parametrize("layer", ["arns", "matrix", "Matrix"])
def test_a_layer_that_is_called_as_githubs_other_outputs(layer: str) -> None:
    assert "and something else would both be called" in refused(FORMS["github-output"], [entry(layer)]).what


# Every form


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_every_arn_and_ends_its_last_line(form: str) -> None:
    entries = select(PUBLISHED, regions=["us-east-1"])
    text = FORMS[form](entries)
    assert all(one.arn in text for one in entries)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert text == FORMS[form](entries)
    assert text.isascii()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("partition", "region"), [("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")])
def test_every_form_knows_other_partitions(form: str, partition: str, region: str) -> None:
    one = entry(region=region, partition=partition)
    assert one.arn in FORMS[form]([one])


# For people


def test_a_table_for_a_terminal() -> None:
    both = entry("a", runtimes=["python3.12", "python3.13"], architectures=[], version=12)
    assert FORMS["table"]([FLASK, both]) == (
        "layer  region     runtime                 architecture  version  ARN\n"
        "flask  us-east-1  python3.12              arm64         1        " + ARN + "\n"
        "a      us-east-1  python3.12, python3.13  -             12       " + both.arn + "\n"
    )


def test_a_table_for_a_readme() -> None:
    assert FORMS["markdown"]([FLASK, X86]) == (
        "| layer | region | runtime | architecture | version | ARN |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        f"| flask | us-east-1 | python3.12 | arm64 | 1 | `{ARN}` |\n"
        f"| flask | us-east-1 | python3.12 | x86\\_64 | 1 | `{X86.arn}` |\n"
    )


@given(keys)
def test_a_markdown_reader_sees_the_layers_name_and_arn(layer: str) -> None:
    one = entry(layer)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(FORMS["markdown"]([one]))
    cells = [token.children for token in tokens if token.type == "inline" and token.children]
    head, row = cells[:6], cells[6:]
    assert ["".join(part.content for part in cell) for cell in head] == list(HEAD)
    assert ["".join(part.content for part in cell) for cell in row] == [
        layer, "us-east-1", "python3.12", "arm64", "1", one.arn,
    ]  # fmt: skip
    assert {part.type for cell in row for part in cell} == {"text", "code_inline"}


# Lines


def test_an_environment() -> None:
    assert FORMS["env"]([WSGI, FLASK, entry("7zip")]).splitlines() == [
        f"SERVERLESS_WSGI_LAYER_ARN={WSGI.arn}",
        f"FLASK_LAYER_ARN={ARN}",
        f"_7ZIP_LAYER_ARN={entry('7zip').arn}",
        f"LAYER_ARNS={WSGI.arn},{ARN},{entry('7zip').arn}",
    ]


def test_an_environment_of_several_targets_has_no_list() -> None:
    lines = FORMS["env"]([FLASK, X86]).splitlines()
    assert lines[:2] == [f"FLASK_PYTHON312_ARM64_LAYER_ARN={ARN}", f"FLASK_PYTHON312_X86_64_LAYER_ARN={X86.arn}"]
    assert lines[2].startswith("# no LAYER_ARNS")


def test_an_environment_is_of_one_region() -> None:
    error = refused(FORMS["env"], [FLASK, EU])
    assert error.what == "an environment holds the ARNs of one region"
    assert error.why == "published in: eu-west-1, us-east-1"
    assert error.cure == "choose one, for instance --region eu-west-1"


@given(keys)
def test_an_environments_names_are_those_of_a_shell(layer: str) -> None:
    for line in FORMS["env"]([entry(layer)]).splitlines():
        assert re.fullmatch(r"[A-Z_][A-Z0-9_]*=[A-Za-z0-9:_-]+", line)


def outputs(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_outputs_of_one_region() -> None:
    found = outputs(FORMS["github-output"]([FLASK, WSGI]))
    assert list(found) == ["flask", "serverless-wsgi", "arns", "matrix"]
    assert found["flask"] == ARN
    assert json.loads(found["arns"]) == arns([FLASK, WSGI])
    assert json.loads(found["matrix"])["include"][0] == {
        "name": "flask",
        "layer": "flask",
        "region": "us-east-1",
        "arn": ARN,
        "version": 1,
        "runtimes": ["python3.12"],
        "architectures": ["arm64"],
    }


def test_outputs_of_several_regions_are_json_alone() -> None:
    found = outputs(FORMS["github-output"](select(PUBLISHED)))
    assert list(found) == ["arns", "matrix"]
    assert [(job["region"], job["name"]) for job in json.loads(found["matrix"])["include"]] == [
        ("eu-west-1", "flask-python312-arm64"),
        ("us-east-1", "flask-python312-arm64"),
        ("us-east-1", "flask-python312-x86_64"),
        ("us-east-1", "serverless-wsgi"),
    ]


@given(keys)
def test_outputs_names_are_identifiers(layer: str) -> None:
    assume(layer.lower() not in ("arns", "matrix"))
    for name in outputs(FORMS["github-output"]([entry(layer), entry(layer, architectures=["x86_64"], name="x")])):
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name)


@pytest.mark.parametrize("form", ["env", "github-output"])
@pytest.mark.parametrize("value", ["a\nX=1", "a b", "$(id)", "`id`", "<<EOF", "'"])
def test_a_line_never_carries_what_is_no_arn(form: str, value: str) -> None:
    """The file's reader lets no such ARN in; a caller's own entries would be a defect."""
    with pytest.raises(ValueError, match="is no ARN"):
        FORMS[form]([Entry(**{name: getattr(FLASK, name) for name in FLASK.__slots__} | {"arn": value})])


# Terraform


def test_a_terraform_file() -> None:
    assert FORMS["terraform"]([EU, FLASK, WSGI]) == (
        "# Made by: layerkit arns --format terraform\n"
        "locals {\n"
        "  layer_arns = {\n"
        '    "eu-west-1" = {\n'
        f'      "flask" = "{EU.arn}"\n'
        "    }\n"
        '    "us-east-1" = {\n'
        f'      "flask"           = "{ARN}"\n'
        f'      "serverless-wsgi" = "{WSGI.arn}"\n'
        "    }\n"
        "  }\n"
        "}\n"
    )


def test_terraforms_variables() -> None:
    assert FORMS["tfvars"]([FLASK]) == (
        "# Made by: layerkit arns --format tfvars\n"
        "layer_arns = {\n"
        '  "us-east-1" = {\n'
        f'    "flask" = "{ARN}"\n'
        "  }\n"
        "}\n"
    )


UNESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


def unquoted(text: str) -> str:
    """What HCL reads: https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md#template-literals ."""
    assert text[0] == text[-1] == '"'
    found, rest = [], text[1:-1]
    while rest:
        if match := re.match(r"\\(u[0-9a-f]{4}|U[0-9a-f]{8})", rest):
            found.append(chr(int(match[1][1:], 16)))
        elif match := re.match(r'\\([nrt"\\])', rest):
            found.append(UNESCAPES[match[1]])
        elif match := re.match(r"(\$\$|%%)\{", rest):
            found.append(match[0][1:])
        else:
            match = re.match(r'(?!\$\{|%\{)[^"\\\n\r]', rest)
            assert match, f"no literal: {rest}"
            found.append(match[0])
        rest = rest[match.end() :]
    return "".join(found)


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text(st.sampled_from('$%{}"\\\n\t\x00')))
def test_any_text_is_quoted_for_hcl(text: str) -> None:
    assert unquoted(quoted(text)) == text


# SAM, the CDK, Serverless


def test_a_sam_mapping() -> None:
    text = FORMS["sam"](select(PUBLISHED))
    assert text.startswith("# Made by: layerkit arns --format sam\nMappings:\n  LayerArns:\n    eu-west-1:\n")
    assert yaml.safe_load(text) == {
        "Mappings": {
            "LayerArns": {
                "eu-west-1": {"FlaskPython312Arm64": EU.arn},
                "us-east-1": {
                    "FlaskPython312Arm64": ARN,
                    "FlaskPython312X8664": X86.arn,
                    "ServerlessWsgi": WSGI.arn,
                },
            }
        }
    }


@given(keys)
def test_a_mappings_keys_are_letters_and_digits(layer: str) -> None:
    [found] = yaml.safe_load(FORMS["sam"]([entry(layer)]))["Mappings"]["LayerArns"].values()
    assert all(re.fullmatch(r"[A-Za-z0-9]+", name) for name in found)


def test_context_for_the_cdk() -> None:
    assert json.loads(FORMS["cdk"]([FLASK, WSGI])) == {"layerArns": arns([FLASK, WSGI])}


def test_a_file_for_serverless() -> None:
    text = FORMS["serverless"]([EU, FLASK, WSGI])
    assert text.startswith("# Made by: layerkit arns --format serverless\neu-west-1:\n  flask: arn:")
    assert yaml.safe_load(text) == arns([EU, FLASK, WSGI])


WORDS = ["no", "y", "NULL", "1e3", "0x1f", "0o17", "1_000", "12", "1-2", "2026-11-21", "true"]


@pytest.mark.parametrize("layer", WORDS)
def test_words_that_yaml_could_read_otherwise_are_quoted(layer: str) -> None:
    """Also where YAML 1.1, which PyYAML reads, and 1.2 differ."""
    text = FORMS["serverless"]([entry(layer)])
    assert f'  "{layer}": arn:' in text
    assert yaml.safe_load(text) == {"us-east-1": {layer: entry(layer).arn}}
    [name] = yaml.safe_load(FORMS["sam"]([entry(layer)]))["Mappings"]["LayerArns"]["us-east-1"]
    assert isinstance(name, str)


@given(st.lists(keys, min_size=1, max_size=4, unique_by=str.lower))
def test_yaml_and_json_say_the_same_whatever_layers_are_called(layers: list[str]) -> None:
    entries = [entry(layer) for layer in layers]
    assert yaml.safe_load(FORMS["serverless"](entries)) == arns(entries)
    assert list(arns(entries)["us-east-1"]) == layers
