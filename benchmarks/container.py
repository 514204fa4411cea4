"""Builds in a container, beside `docker run ... pip install -t` and `sam build --use-container` in the same image."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING

import tools
from dock import Dock, docked
from report import Figure, Goal
from tools import Failure, Python

from layerkit import network
from layerkit.builders import Unfit
from layerkit.builders.engine import LABEL

if TYPE_CHECKING:
    from build import Bench, Prepare, Timed

SDISTS = ("docopt==0.6.2", "crcmod==1.7", "netifaces==0.11.0")  # no wheel fits; two of them are in C
LEAST_RUNS = 15  # with nothing changed: they are short, so their noise is large
PEERS = {
    "pip": "`docker run ... pip install -t` (two of the layers, no zip)",
    "sam": "`sam build --use-container` (two of the layers, no zip)",
}
LAMBDA_BUILDERS = """\
#!/usr/bin/env python3
import sys
sys.path.insert(0, "/usr/local/opt/lambda-builders")
from aws_lambda_builders.__main__ import main
main()
"""

Measure = Callable[["Bench", Dock], Iterator[Figure | str]]


def with_engine(measure: Measure) -> Callable[[Bench], Iterator[Figure | str]]:
    """Left out, with a note, where there is no engine."""

    @wraps(measure)
    def measured(bench: Bench) -> Iterator[Figure | str]:
        try:
            with docked(bench.work) as dock:
                yield f"In a container: {dock}."
                yield from measure(bench, dock)
        except Unfit as error:
            yield f"Builds in a container are not measured: {error.what}."

    return measured


@with_engine
def from_nothing(bench: Bench, dock: Dock) -> Iterator[Figure | str]:
    """Three layers; the engine runs and has the build image, all else is fetched and made in each round."""
    # of an image of our own: what layerkit made for others is left to them
    base = dock.make_image("base", bench.folder("base"))
    own_base = bench.changed("own-base", lambda declared: declared.update(container={"image": base}))

    def build(folder: Path, project: Path = bench.project, **env: str) -> Timed:
        env |= {"UV_CACHE_DIR": str(folder / "uv"), "LAYERKIT_BUILDER": "container"}
        return lambda: tools.layerkit_build(project, folder, bench.python, **env)

    def without_image(folder: Path) -> Timed:
        dock.remove_images(f"{LABEL}.image={base}")
        return build(folder, own_base)

    def without_python(folder: Path) -> Timed:
        nowhere = str(folder / "nowhere")
        path = str(tools.LAYERKIT.parent)
        return build(folder, PATH=path, PYENV_ROOT=nowhere, UV_PYTHON_INSTALL_DIR=nowhere)

    sides: dict[str, Prepare] = {
        "warm": build,
        "image": without_image,
        "python": without_python,
        "pip": lambda folder: partial(_pip_install, dock, bench.project, folder),
    }
    if sys.version_info[:2] == (3, 12):
        del sides["python"]  # the one that runs layerkit would compile
    try:
        sides["sam"] = _sam_build(bench, dock)
    except Failure as error:
        yield f"`sam build --use-container` cannot be run in this image: {error}"
    seconds = dict(zip(sides, bench.interleaved(*sides.values(), clean=dock.clean), strict=True))
    third = Goal(kind="times", bound=3)
    for side, name, goals in (
        ("warm", "build in a container from nothing", (third,)),
        ("image", "the same, layerkit's image made too", (third,)),
        ("python", f"the same as first, no CPython {tools.MINOR} outside the container", ()),
    ):
        for peer in PEERS:
            if side in seconds and peer in seconds:
                yield Figure(
                    name=name, peer_name=PEERS[peer], unit="s",
                    layerkit=seconds[side], peer=seconds[peer], goals=goals,
                )  # fmt: skip


def _pip_install(dock: Dock, project: Path, folder: Path) -> None:
    """pip in a container for each layer that has requirements, one after the other."""
    for layer in tools.layers(project):
        if layer.requirements:
            content = folder / layer.key / "python"
            content.mkdir(parents=True)
            command = ("pip", "install", "--quiet", "--disable-pip-version-check", "--target", "/target")
            dock.run(*command, *layer.requirements, into=content)


def _sam_build(bench: Bench, dock: Dock) -> Prepare:
    """`sam build --use-container`, which was seen to work.  Raises Failure with SAM's own words.

    An image of our own has what it needs inside: lambda-builders, where the build image lacks it, as AWS's recipe
    puts it there, and the certificates, for which SAM has no mount.
    """
    context, template = bench.folder("sam-image"), bench.folder("sam-project")
    tools.sam_project(bench.project, template)
    instructions = []
    if certificates := dock.settings.files.get("ca.pem"):
        (context / "ca.pem").write_bytes(certificates)
        instructions.append(f"COPY ca.pem {network.FOLDER}/")
    try:
        dock.run("sh", "-c", "command -v lambda-builders")
    except Failure:
        _install_lambda_builders(bench.python, context)
        instructions += ["COPY package /usr/local/opt/lambda-builders", "COPY lambda-builders /usr/local/bin/"]
    image = dock.make_image("sam", context, *instructions)
    variables = bench.work / "variables.json"
    variables.write_text(json.dumps({"Parameters": dock.variables}))
    options = ["--use-container", "--skip-pull-image", "--build-image", image]
    options += ["--container-env-var-file", str(variables)]
    options += ["--docker-network", "host"] if dock.settings.loopback else []
    tools.sam_build(template, bench.folder("sam-tried"), bench.python, *options)
    return lambda folder: partial(tools.sam_build, template, folder, bench.python, *options)


def _install_lambda_builders(python: Python, context: Path) -> None:
    """The version that this SAM has, and its bytecode, which is good for each CPython of the same minor version."""
    executable = python.peers / "bin/python"
    code = "import aws_lambda_builders; print(aws_lambda_builders.__version__)"
    version = tools.run(executable, "-c", code, env=python.environment()).strip()
    command = (executable, "-m", "pip", "install", "--quiet", "--target", context / "package")
    tools.run(*command, f"aws-lambda-builders=={version}", env=python.environment())
    (context / "lambda-builders").write_text(LAMBDA_BUILDERS)
    (context / "lambda-builders").chmod(0o755)


@with_engine
def again(bench: Bench, dock: Dock) -> Iterator[Figure | str]:
    """Nothing changed, and an engine at hand: no container may be started."""
    folders = {builder: bench.folder(builder) for builder in ("auto", "wheels")}
    builds = {
        builder: partial(tools.layerkit_build, bench.project, folder, bench.python, LAYERKIT_BUILDER=builder)
        for builder, folder in folders.items()
    }
    more = replace(bench, rounds=max(LEAST_RUNS, bench.rounds))
    since = dock.now()
    try:
        for prime in builds.values():
            prime()
        first = dock.created(folders["auto"], since)
        auto, wheels = more.interleaved(lambda _: builds["auto"], lambda _: builds["wheels"])
        later = dock.created(folders["auto"], since) - first
    finally:
        dock.clean(folders["auto"])
    if later or not first:
        raise Failure(f"containers made: {len(first)} by a first build, {len(later)} with nothing changed")
    yield Figure(
        name="nothing changed, `--builder auto`, an engine running", peer_name="`--builder wheels`", unit="s",
        layerkit=auto, peer=wheels, share=True,
        goals=(Goal(kind="seconds", bound=0.3), Goal(kind="share", bound=1.1)),
    )  # fmt: skip
    yield (
        f"Containers made by `--builder auto`, as the engine's events tell: {len(first)} by the build before, "
        f"{len(later)} by {more.rounds + 1} with nothing changed."
    )


@with_engine
def sdists(bench: Bench, dock: Dock) -> Iterator[Figure | str]:
    """A layer of source distributions, once: from nothing, and from the wheels that were kept of them."""
    layer = {"requirements": [*SDISTS]}
    project = bench.changed("with-sdists", lambda declared: declared["layers"].update(sdists=layer))
    env = bench.python.environment() | {"LAYERKIT_CACHE_DIR": str(bench.work / "cache-of-locking")}
    tools.run(tools.LAYERKIT, "lock", cwd=project, env=env)
    folder = bench.folder("sdists")
    seconds = []
    try:
        for _ in ("from nothing", "from the kept wheels"):
            start = time.perf_counter()
            tools.layerkit_build(project, folder, bench.python, "sdists", LAYERKIT_BUILDER="container")
            seconds.append(time.perf_counter() - start)
            for made in ("cache/parts", "dist"):
                shutil.rmtree(folder / made)
    finally:
        dock.clean(folder)
    first, second = seconds
    yield Figure(
        name=f"layer of {len(SDISTS)} sdists, from the wheels kept of them (1 round)",
        peer_name="its first build, in the container", unit="s", layerkit=[second], peer=[first],
    )  # fmt: skip
