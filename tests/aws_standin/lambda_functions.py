"""Functions, as far as layers need them: strict on layers, and nothing ever runs."""

from __future__ import annotations

import time
import uuid

from aws_standin.asked import Asked, failed, invalid, listed
from aws_standin.data import ARCHITECTURES, RUNTIMES
from aws_standin.lambda_attached import attached
from aws_standin.lambda_code import code_of, wrong
from aws_standin.lambda_found import LATEST, arn_of, document_of, function_of, in_list, named, page_of, shown
from aws_standin.lambda_layers import used
from aws_standin.lambda_states import begin_creation, begin_update, check_idle, check_revision
from aws_standin.lambda_versions import publish
from aws_standin.nouns import Answer, Json, Refused, answer
from aws_standin.world import UNZIPPED, Function

SETTINGS = (
    "Description", "Environment", "Handler", "MemorySize", "Role", "Runtime", "Timeout", "SnapStart", "TracingConfig",
    "EphemeralStorage", "LoggingConfig",
)  # fmt: skip
MADE = ("Architectures", "PackageType")  # given when a function is made, and with new code
# terraform-aws-lambda-datadog#2
NO_LAYERS = "Lambda layers are not supported for functions created with container images."
NO_RUNTIME = "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."


def create_function(asked: Asked) -> Answer:
    wanted, place = asked.json(), asked.place
    name = wanted.get("FunctionName", "").rpartition("function:")[2]
    code, own = _code(asked, wanted, wanted.get("Code") or {}, wanted.get("PackageType", "Zip"))
    layers = _layers(asked, wanted, wanted.get("PackageType", "Zip"), [], own)
    with place.lock:
        if name in place.functions:
            raise Refused("ResourceConflictException", f"Function already exist: {name}")
        if code["CodeSize"] + used(asked) > asked.world.options.storage:
            raise Refused("CodeStorageExceededException", "Code storage limit exceeded.")
        document: Json = {
            "FunctionName": name, "FunctionArn": arn_of(asked, name), "Version": LATEST, **code, "Timeout": 3,
            "MemorySize": 128, "Description": "", "PackageType": "Zip", "Architectures": ["x86_64"],
            "RevisionId": str(uuid.uuid4()), "LastModified": now(),
        }  # fmt: skip
        document |= {key: wanted[key] for key in (*SETTINGS, *MADE) if key in wanted}
        if layers:
            document["Layers"] = layers
        function = place.functions[name] = Function(latest=document, unzipped=own)
        begin_creation(asked, function.changes, document)
        if wanted.get("Publish"):  # with an ARN without the version: recorded
            return answer({**publish(asked, function), "FunctionArn": document["FunctionArn"]}, 201)
        return answer(shown(document), 201)


def now() -> str:
    """As recorded: 2026-01-05T08:00:00.000+0000."""
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}+0000"


def _code(asked: Asked, wanted: Json, content: Json, package: str) -> tuple[Json, int]:
    """CodeSize and CodeSha256 of what a request brings, and its bytes unzipped."""
    doing = "creating" if asked.operation == "CreateFunction" else "updating"
    if package == "Image":
        if not content.get("ImageUri"):
            raise wrong(f"Please provide ImageUri when {doing} a function with packageType Image.")
        digest = asked.world.blob(content["ImageUri"].encode()).digest.hex()
        return {"CodeSize": 0, "CodeSha256": digest}, 0
    if content.get("ImageUri"):
        raise wrong(f"Please don't provide ImageUri when {doing} a function with packageType Zip.")
    blob = code_of(asked, content).blob
    return {"CodeSize": len(blob.data), "CodeSha256": blob.sha256}, blob.as_zip()[1]


def _layers(asked: Asked, wanted: Json, package: str, had: list[Json], own: int) -> list[Json]:
    """The Layers that a request asks for, and whether what it says beside goes with them."""
    architectures = wanted.get("Architectures") or ["x86_64"]
    if len(architectures) > 1:
        raise invalid(failed(listed(architectures), "architectures", "have length less than or equal to 1"))
    if architectures[0] not in ARCHITECTURES:
        rule = "satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]"
        raise invalid(failed(listed(architectures), "architectures", rule))
    runtime = wanted.get("Runtime")
    if runtime is not None and runtime not in RUNTIMES:
        raise wrong(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
            f"{listed(RUNTIMES)} or be a valid ARN"
        )
    if package == "Image" and any(wanted.get(key) for key in ("Handler", "Runtime")):
        raise wrong(NO_RUNTIME)  # aws-cdk#13037, pulumi-aws#5439
    if package == "Image" and wanted.get("Layers"):
        raise wrong(NO_LAYERS)
    return attached(asked, wanted.get("Layers") or [], had, own)


def get_function(asked: Asked) -> Answer:
    with asked.place.lock:
        _, document, arn = document_of(asked, read=True)
        kind = "ECR" if document["PackageType"] == "Image" else "S3"
        return answer({"Configuration": shown(document, arn), "Code": {"RepositoryType": kind}})


def get_function_configuration(asked: Asked) -> Answer:
    with asked.place.lock:
        _, document, arn = document_of(asked, read=True)
        return answer(shown(document, arn))


def update_function_configuration(asked: Asked) -> Answer:
    wanted = asked.json()
    with asked.place.lock:
        function = function_of(asked)
        document = function.latest
        layers = _layers(asked, wanted, document["PackageType"], document.get("Layers", []), function.unzipped)
        check_idle(document)
        check_revision(wanted.get("RevisionId"), document)
        document |= {key: wanted[key] for key in SETTINGS if key in wanted}
        if "Layers" in wanted:
            document["Layers"] = layers
            if not layers:
                del document["Layers"]  # told of a function that has some: recorded
        document["LastModified"] = now()
        begin_update(asked, function.changes, document)
        return answer(shown(document))


def update_function_code(asked: Asked) -> Answer:
    wanted = asked.json()
    with asked.place.lock:
        function = function_of(asked)
        document = function.latest
        code, own = _code(asked, wanted, wanted, document["PackageType"])
        attached(asked, [layer["Arn"] for layer in document.get("Layers", [])], document.get("Layers", []), own)
        check_idle(document)
        check_revision(wanted.get("RevisionId"), document)
        told = {**document, **code, **{key: wanted[key] for key in ("Architectures",) if key in wanted}}
        if wanted.get("DryRun"):
            return answer(told)
        if code["CodeSize"] + used(asked) - document["CodeSize"] > asked.world.options.storage:
            raise Refused("CodeStorageExceededException", "Code storage limit exceeded.")
        function.unzipped = own
        document |= {**told, "LastModified": now()}
        begin_update(asked, function.changes, document)
        if wanted.get("Publish"):
            return answer(publish(asked, function))
        return answer(shown(document))


def list_functions(asked: Asked) -> Answer:
    """$LATEST of each, or with FunctionVersion=ALL every version, too."""
    which, place = asked.query.get("FunctionVersion"), asked.place
    if which not in (None, "ALL"):
        raise invalid(failed(which, "functionVersion", "satisfy enum value set: [ALL]"))
    with place.lock:
        functions = [place.functions[name] for name in sorted(place.functions)]
        documents = [
            document
            for function in functions
            for document in (function.latest, *(function.versions.values() if which else ()))
        ]
        return page_of(asked, "Functions", [in_list(one, qualified=bool(which)) for one in documents])


def delete_function(asked: Asked) -> Answer:
    """A function with all it has, or a version that no alias names."""
    with asked.place.lock:
        function, (name, qualifier) = function_of(asked), named(asked)
        if not qualifier:
            del asked.place.functions[name]
        elif qualifier == LATEST:
            raise wrong("$LATEST version cannot be deleted without deleting the function.")
        elif qualifier in function.aliases:
            raise wrong("Deletion of aliases is not currently supported.")
        else:
            users = [
                alias["Name"]
                for alias in function.aliases.values()
                if qualifier in (alias["FunctionVersion"], *weights(alias))
            ]
            if users:
                words = f"Unable to delete version because the following aliases reference it: {listed(users)}"
                raise Refused("ResourceConflictException", words)
            function.versions.pop(qualifier, None)
    return answer(None, 204)


def weights(alias: Json) -> dict[str, float]:
    found: dict[str, float] = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    return found


def get_account_settings(asked: Asked) -> Answer:
    limit = {
        "TotalCodeSize": asked.world.options.storage, "CodeSizeUnzipped": UNZIPPED, "CodeSizeZipped": 52_428_800,
        "ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000,
    }  # fmt: skip
    usage = {"TotalCodeSize": used(asked), "FunctionCount": len(asked.place.functions)}
    return answer({"AccountLimit": limit, "AccountUsage": usage})
