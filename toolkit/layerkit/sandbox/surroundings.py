"""What the managed runtime starts Python with: the user, the folders, the variables."""

from __future__ import annotations

from dataclasses import dataclass

USER = (993, 990)  # Lambda's user and group
PASSWD = b"root:x:0:0:root:/root:/sbin/nologin\nsbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\n"
TOP = "/layerkit"  # where layerkit's own files stand, in every place
RUNTIME = "/var/runtime"
ACCOUNT = "123456789012"  # of the function's ARN: a made-up one, as in AWS's own examples


class NotHere(Exception):
    """This place cannot run it; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where Lambda's folders stand; elsewhere than in Lambda only where no root of one's own can be made."""

    opt: str = "/opt"
    task: str = "/var/task"
    lang: str = "/var/lang"
    runtime: str = RUNTIME


LAMBDA = Paths()


def variables(
    runtime: str, handler: str, *, name: str = "layerkit", memory: int = 512, region: str = "us-east-1",
    api: str = "127.0.0.1:9001", paths: Paths = LAMBDA,
) -> dict[str, str]:  # fmt: skip
    """The environment that the managed runtime starts Python with.  It has neither HOME nor PYTHONPATH.

    `memory` is in MB; `api` is the address of the Runtime API.
    Source: "Defined runtime environment variables" of AWS's guide, and the runtime's bootstrap.
    """
    lang, task, opt, own = paths.lang, paths.task, paths.opt, paths.runtime
    libraries = (f"{lang}/lib", "/lib64", "/usr/lib64", own, f"{own}/lib", task, f"{task}/lib", f"{opt}/lib")
    return {
        "PATH": f"{lang}/bin:/usr/local/bin:/usr/bin/:/bin:{opt}/bin",
        "LD_LIBRARY_PATH": ":".join(libraries),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "LAMBDA_TASK_ROOT": task,
        "LAMBDA_RUNTIME_DIR": own,
        "_HANDLER": handler,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_SESSION_TOKEN": "x",
        "AWS_LAMBDA_RUNTIME_API": api,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0",
        "AWS_LAMBDA_LOG_FORMAT": "Text",
    }
