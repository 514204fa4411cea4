"""The images that containers are made of: AWS's own, and those that layerkit makes of them."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from typing import Any

from layerkit import tars
from layerkit.builders import Unfit
from layerkit.builders.engine import LABEL, PLATFORMS, Engine
from layerkit.builders.refusals import DOCTOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    reference: str
    id: str
    digest: str  # of the registry; the ID of an image that no registry gave


def get(engine: Engine, reference: str, machine: str, say: Callable[[str], None]) -> Image:
    """The image for this machine's architecture, pulled if it is not there.  Raises Unfit."""
    from docker.errors import APIError, ImageNotFound

    with engine.talking(Unfit):
        try:
            found = engine.client.images.get(reference)
        except ImageNotFound:
            say(f"pulling {reference}")
            try:
                found = engine.client.images.pull(reference, platform=PLATFORMS[machine])
            except APIError as error:
                raise Unfit(
                    "the build image is not there and cannot be pulled",
                    where=reference,
                    why=error.explanation or str(error),
                    cure=f"docker pull --platform {PLATFORMS[machine]} {reference}, or name another image in "
                    "layers.yaml (container: {image: ...})",
                ) from None
        digests = found.attrs.get("RepoDigests") or []
        built_for = f"{found.attrs.get('Os', '')}/{found.attrs.get('Architecture', '')}"
        if built_for != PLATFORMS[machine]:
            raise Unfit(
                f"the build image is for {built_for}, not for {PLATFORMS[machine]}",
                where=reference,
                cure=f"docker pull --platform {PLATFORMS[machine]} {reference}",
            )
        named = re.sub(r"(@.*|:[^/]*)$", "", reference.partition("@")[0])
        own = [one for one in digests if one.startswith(f"{named}@")] or digests  # it may have several names
        digest = own[0].rpartition("@")[2] if own else str(found.id)
        return Image(reference=reference, id=str(found.id), digest=digest)


def labelled(engine: Engine, base: Image, machine: str, say: Callable[[str], None]) -> str:
    """The ID of the build container's image: Dockerfile.arm64 on top of `base`.  Made once; older ones go."""
    from docker.errors import BuildError, ImageNotFound

    recipe = resources.files("layerkit").joinpath("data/Dockerfile.arm64").read_bytes()
    key = hashlib.sha256(b"\0".join([base.id.encode(), recipe])).hexdigest()[:16]
    tag = f"layerkit-builder:{key}"
    with engine.talking(Unfit):
        try:
            return str(engine.client.images.get(tag).id)
        except ImageNotFound:
            say(f"making the build container's image from {base.reference}")
        context = io.BytesIO(tars.pack({"Dockerfile.arm64": recipe}))
        labels = {f"{LABEL}.image": base.reference, f"{LABEL}.recipe": key, f"{LABEL}.role": "builder"}
        arguments = {"BASE_IMAGE": base.reference}
        try:
            made, _ = engine.client.images.build(
                fileobj=context, custom_context=True, dockerfile="Dockerfile.arm64", tag=tag, labels=labels,
                buildargs=arguments, platform=PLATFORMS[machine], rm=True, forcerm=True,
            )  # fmt: skip
        except BuildError as error:
            raise Unfit("the build container's image cannot be made", why=str(error), cure=DOCTOR) from None
        old = engine.client.images.list(filters={"label": f"{LABEL}.image={base.reference}"})
        # those with system packages first, which stand on the others
        for image in sorted(old, key=lambda image: f"{LABEL}.packages" not in image.labels):
            if image.labels.get(f"{LABEL}.recipe") != key:
                _remove(engine, str(image.id))
        return str(made.id)


def find(engine: Engine, tag: str) -> str | None:
    """The ID of an image that layerkit made."""
    from docker.errors import ImageNotFound

    with engine.talking(Unfit):
        try:
            return str(engine.client.images.get(tag).id)
        except ImageNotFound:
            return None


def _remove(engine: Engine, image: str) -> None:
    from docker.errors import APIError

    with suppress(APIError):  # another run uses it
        engine.client.images.remove(image)


def remove_others(engine: Engine, label: str, kept: str) -> None:
    """Remove the images with this label, but for one."""
    with engine.talking(Unfit):
        found = [str(image.id) for image in engine.client.images.list(filters={"label": label})]
    for image in found:
        if image != kept:
            _remove(engine, image)


def facts(engine: Engine, reference: str) -> Mapping[str, Any]:
    """What the engine knows of an image; nothing when it is not there."""
    from docker.errors import ImageNotFound

    with engine.talking(Unfit):
        try:
            return dict(engine.client.images.get(reference).attrs)
        except ImageNotFound:
            return {}


def fits(engine: Engine, reference: str, machine: str) -> bool:
    """Whether the engine has this image, for this machine's architecture."""
    return platform(facts(engine, reference)) == PLATFORMS[machine]


def platform(facts: Mapping[str, Any]) -> str:
    return f"{facts.get('Os', '')}/{facts.get('Architecture', '')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What a registry says of an image: the platforms it offers (none: it does not tell), or why it refused."""

    platforms: frozenset[str] = frozenset()
    refused: str = ""
    status: int = 200  # of HTTP; 0: no answer


def ask_registry(engine: Engine, reference: str) -> Registry:
    """Ask, through the engine, without pulling."""
    from docker.errors import APIError
    from requests.exceptions import RequestException

    try:
        offered = engine.client.images.get_registry_data(reference).attrs.get("Platforms") or []
    except APIError as error:
        return Registry(refused=str(error.explanation or error).strip(), status=error.status_code or 500)
    except RequestException as error:
        return Registry(refused=str(error), status=0)
    return Registry(platforms=frozenset(f"{one.get('os')}/{one.get('architecture')}" for one in offered))
