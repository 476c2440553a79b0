"""Sends an image to several engines at once, without a registry: it is read once, and each engine is sent only the
layers that it does not have."""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from docker import errors as docker_errors

from ...errors import NotFound, Refused, RunFailed
from ..engine.client import CHUNK_BYTES, Engine
from ..engine.errors import own_files
from . import store
from .store import Say

_BLOCK = 512
_END = b"\0" * (2 * _BLOCK)
# What `docker info` calls a machine -> what an image's description calls it.
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386", "i386": "386"}


class SavedImage:
    """An image as a file of this machine, until `close`. `layers` are the digests of its layers, lowest first."""

    def __init__(self, source: Engine, image_id: str, directory: Path) -> None:
        """Reads the image from an engine. Raises NotFound if it is not there, RunFailed if there is no room for it in
        `directory`."""
        found = store.inspect(source, image_id)
        if found is None:
            raise NotFound(f"image {image_id[:19]} is not on {source.address}", hint="build it again")
        self.id = str(found["Id"])
        self.layers = store.layers(found)
        self.machine = f"{found.get('Os') or 'linux'}/{found.get('Architecture') or ''}"
        doing = "keeping the image for a moment"
        with own_files(doing):
            self._file = tempfile.TemporaryFile(prefix=".image-", dir=directory)  # noqa: SIM115 - closed by `close`
        try:
            for piece in store.read(source, self.id):
                with own_files(doing):
                    self._file.write(piece)
            self._file.flush()
            self._members, self._places = self._contents()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> SavedImage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _contents(self) -> tuple[list[tuple[str, int, int]], list[str]]:
        """Returns (name, beginning, end) of each part of the file, and the names of those that hold its layers."""
        self._file.seek(0)
        members: list[tuple[str, int, int]] = []
        places: list[str] = []
        with tarfile.open(fileobj=self._file, mode="r:") as archive:
            for member in archive:
                size = -(-member.size // _BLOCK) * _BLOCK if member.isfile() else 0
                members.append((member.name, member.offset, member.offset_data + size))
                if member.name == "manifest.json":
                    content = archive.extractfile(member)
                    assert content is not None
                    described: list[dict[str, Any]] = json.loads(content.read())
                    places = [str(place) for place in described[0]["Layers"]]
        return members, places

    def pieces(self, known: int) -> Iterator[bytes]:
        """Yields the image without its `known` lowest layers."""
        # A layer that is twice in an image is one part of the file.
        needed = set(self._places[known:])
        left_out = {place for place in self._places[:known] if place not in needed}
        for name, begin, end in self._members:
            if name in left_out:
                continue
            while begin < end:
                piece = os.pread(self._file.fileno(), min(CHUNK_BYTES, end - begin), begin)
                if not piece:
                    raise RunFailed("the image's file on this machine is shorter than it was")
                begin += len(piece)
                yield piece
        yield _END

    def size(self, known: int) -> int:
        """Returns the bytes that `pieces` yields, nearly."""
        needed = set(self._places[known:])
        left_out = {place for place in self._places[:known] if place not in needed}
        return sum(end - begin for name, begin, end in self._members if name not in left_out)


def send(image: SavedImage, target: Engine, labels: Sequence[str], *, say: Say) -> None:
    """Sends an image to an engine that does not have it; of layers that it has with an image that has these labels
    nothing but their names. Raises Refused if its machine cannot run the image, or does not keep it."""
    ensure_fits(image, target)
    known = _known(image, target, labels)
    if known and not _loaded(image, target, known, say):
        known = 0
    if not known and not _loaded(image, target, 0, say):
        raise Refused(
            f"{target.address} accepted the image but does not list it",
            hint="check the space on its disk, and the engine's log",
        )


def ensure_fits(image: SavedImage, target: Engine) -> None:
    """Raises Refused if the engine's machine is of another kind than the image."""
    about = target.info()
    machine = str(about.get("Architecture") or "")
    here = f"{about.get('OSType') or 'linux'}/{_MACHINES.get(machine, machine)}"
    if machine and not image.machine.endswith("/") and here != image.machine:
        raise Refused(
            f"{target.address} is {here} (Docker {about.get('ServerVersion')}), and the image is for {image.machine}",
            hint="name hosts of one kind, or build the image on an engine of their kind (docker.host)",
        )


def _known(image: SavedImage, target: Engine, labels: Sequence[str]) -> int:
    """Returns how many of the image's lowest layers the engine has."""
    others = [store.inspect(target, str(one["Id"])) for one in store.find(target, labels)]
    return max((store.shared(image.layers, store.layers(other)) for other in others if other is not None), default=0)


def _loaded(image: SavedImage, target: Engine, known: int, say: Say) -> bool:
    """Sends the image without its lowest layers; tells whether the engine has it then."""
    rest = f", without {known} of {len(image.layers)} layers that are there" if known else ""
    say(f"sending image {image.id[7:19]} to {target.address} ({store.megabytes(image.size(known))}{rest})")
    started = time.monotonic()
    with target.doing("writing the image"), target.unhurried():
        api = target.api
        answer = api._post(api._url("/images/load"), data=image.pieces(known), params={"quiet": True})
        try:
            api._raise_for_status(answer)
        except docker_errors.APIError:
            if not known:
                raise
            return False  # some engines want all layers, whatever they have
    if store.inspect(target, image.id) is None:
        return False
    say(f"sent in {time.monotonic() - started:.1f} s")
    return True
