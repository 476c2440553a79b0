"""Images on an engine: their layers and names, transfers to another engine, and the removal of unneeded ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from docker import errors as docker_errors

from ...errors import NotFound, Refused
from ..engine.client import CHUNK_BYTES, Engine
from ..observe.moments import moment

Say = Callable[[str], None]
_PROGRESS_INTERVAL = 5.0  # seconds between two lines about how far a transfer has come
MEGABYTE = 1_000_000


def inspect(engine: Engine, reference: str) -> dict[str, Any] | None:
    """Returns the engine's full description of an image, or None if it has none of that name."""
    if not reference:
        return None
    with engine.doing(f"inspecting image {reference[:100]}"):
        try:
            return engine.api.inspect_image(reference)
        except docker_errors.ImageNotFound:
            return None


def layers(found: dict[str, Any]) -> tuple[str, ...]:
    """Returns the digests of an image's layers, lowest first."""
    listed: Any = found.get("RootFS") or {}
    return tuple(map(str, listed.get("Layers") or ()))


def labels(found: dict[str, Any]) -> dict[str, str]:
    config: Any = found.get("Config") or {}
    return dict(config.get("Labels") or {})


def named(engine: Engine, image: str) -> float:
    """Returns when the image last got a name on this engine, in seconds since the epoch; 0 if it never got one or is
    gone."""
    metadata: dict[str, str] = (inspect(engine, image) or {}).get("Metadata") or {}
    return moment(metadata.get("LastTagTime")) or 0.0


def find(engine: Engine, wanted: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the engine's short description of each image that has all these labels (`key=value`)."""
    with engine.doing("listing images"):
        return engine.api.images(filters={"label": list(wanted)})


def shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Returns how many of the lowest layers two images have in common."""
    return next(
        (number for number, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def transfer(source: Engine, target: Engine, image_id: str, *, say: Say) -> None:
    """Sends an image from one engine to another through this machine, without a copy on its disk. Layers that the
    target already has are sent too, because engines cannot ask for a part of an image; a registry can
    (`docker.push`)."""
    found = inspect(source, image_id)
    if found is None:
        raise NotFound(f"image {image_id[:19]} is not on {source.address}", hint="build it again")
    total = int(found.get("Size") or 0)
    say(f"sending image {image_id[7:19]} ({megabytes(total)}) from {source.address} to {target.address}")
    started = time.monotonic()
    with target.doing("writing the image"), target.unhurried():
        api = target.api
        answer = api._post(
            api._url("/images/load"), data=_told(read(source, image_id), total, say), params={"quiet": True}
        )
        api._raise_for_status(answer)
    if inspect(target, image_id) is None:
        raise Refused(
            f"{target.address} accepted the image but does not list it",
            hint="check the space on its disk, and the engine's log",
        )
    say(f"sent in {time.monotonic() - started:.1f} s")


def read(source: Engine, image_id: str) -> Iterator[bytes]:
    """Yields the image as a tar in pieces. The engine writes all of it to its disk before it sends the first piece,
    and the docker package has no time-out for the next one."""
    with source.doing("reading the image"), source.unhurried():
        api = source.api
        answer = api._get(api._url("/images/{0}/get", image_id), stream=True)
        api._raise_for_status(answer)
        yield from answer.iter_content(CHUNK_BYTES)


def _told(stream: Iterable[bytes], total: int, say: Say) -> Iterator[bytes]:
    sent, told = 0, time.monotonic()
    for piece in stream:
        yield piece
        sent += len(piece)
        if time.monotonic() - told >= _PROGRESS_INTERVAL:
            told = time.monotonic()
            say(f"{megabytes(sent)} of about {megabytes(total)} sent")


def megabytes(size: float) -> str:
    return f"{size / MEGABYTE:,.0f} MB".replace(",", " ")


def remove(engine: Engine, reference: str) -> bool:
    """Removes an image and returns True if it was removed. An image that a container uses stays, and an image that
    is already gone is no error."""
    with engine.doing(f"removing image {reference[:100]}"):
        try:
            with engine.unhurried():
                engine.api.remove_image(reference, force=False, noprune=False)
        except docker_errors.ImageNotFound:
            return False
        except docker_errors.APIError as error:
            if error.status_code == 409:
                return False
            raise
    return True


def unneeded(found: Iterable[dict[str, Any]], keep: Collection[str]) -> list[dict[str, Any]]:
    """Returns the listed images whose ids are not in `keep`, oldest first."""
    return sorted((one for one in found if one["Id"] not in keep), key=lambda one: int(one.get("Created") or 0))
