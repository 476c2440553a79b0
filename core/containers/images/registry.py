"""Pushes images to a registry and pulls them by digest. The credentials are those that `docker login` stored in
~/.docker/config.json."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any, cast

from docker import errors as docker_errors

from ...domain.text import clean
from ...errors import RunFailed, UsageError
from ..engine.client import Engine
from ..engine.errors import BROKEN, EngineAway, refusal
from ..engine.logins import login_headers
from . import store

Say = Callable[[str], None]

_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
REPOSITORY = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PROGRESS_INTERVAL = 3.0  # seconds between two lines about how far a transfer has come
SILENCE_TIMEOUT = 600  # seconds without a word from the engine while it pushes or pulls


def reference(text: str, what: str = "image") -> str:
    """Returns `text` if it is a valid image name, with or without a tag or digest. Raises UsageError otherwise,
    because the name goes into a Dockerfile."""
    name, _, digest = text.partition("@")
    if digest and not DIGEST.fullmatch(digest):
        raise UsageError(f"{clean(text)[:200]!r} is not the name of an {what}: a digest is sha256: and 64 hex digits")
    repository, tag = split(name)
    if len(text) > 400 or not REPOSITORY.fullmatch(repository) or (tag and not TAG.fullmatch(tag)):
        raise UsageError(
            f"{clean(text)[:200]!r} is not the name of an {what}",
            hint="for example python:3.11-slim or registry.example.com/team/name:1",
        )
    return text


def split(name: str) -> tuple[str, str]:
    """Splits `host:5000/team/name:tag` into (`host:5000/team/name`, `tag`). The tag is empty if the name has none."""
    head, colon, tail = name.rpartition(":")
    return (head, tail) if colon and "/" not in tail else (name, "")


def repository(text: str) -> str:
    """Returns `text` if it names a repository without a tag or digest. Raises UsageError otherwise."""
    if "@" in text or split(text)[1] or not REPOSITORY.fullmatch(text) or len(text) > 300:
        raise UsageError(
            f"{clean(text)[:200]!r} is not a repository to push to",
            hint="for example registry.example.com/flight-delay, without a tag",
        )
    return text


def push(engine: Engine, image_id: str, into: str, tag: str, *, say: Say) -> str:
    """Pushes the image as `into:tag` and returns its digest in the registry (`sha256:…`). Layers that the registry
    already has are not sent again."""
    what = f"pushing {into}:{tag}"
    login = login_headers(into, what)
    with engine.doing(what):
        engine.api.tag(image_id, into, tag, force=True)
        say(what)
        started = time.monotonic()
        digest = ""
        # An old engine without a login for the registry reads the body for one.
        answer = _answer(engine, engine.api._url("/images/{0}/push", into), {"tag": tag}, login, what, body="{}")
        for message in _messages(answer, what, say, sending=True):
            digest = str(message.get("aux", {}).get("Digest") or digest)
    if not DIGEST.fullmatch(digest):
        raise RunFailed(f"{what}: the registry returned no digest", hint="check that it is a registry of API version 2")
    say(f"pushed in {time.monotonic() - started:.1f} s: {into}@{digest}")
    return digest


def pull(engine: Engine, wanted: str, *, say: Say) -> dict[str, Any]:
    """Pulls an image to the engine by digest or tag and returns the engine's description of it."""
    what = f"pulling {wanted}"
    name, _, digest = wanted.partition("@")
    into, tag = (name, digest) if digest else split(name)
    login = login_headers(into, what)
    with engine.doing(what):
        say(what)
        started = time.monotonic()
        params = {"fromImage": into, "tag": tag or "latest"}
        for _ in _messages(
            _answer(engine, engine.api._url("/images/create"), params, login, what), what, say, sending=False
        ):
            pass
    found = store.inspect(engine, wanted)
    if found is None:
        raise RunFailed(f"{what}: the engine reported success but has no such image")
    say(f"pulled in {time.monotonic() - started:.1f} s")
    return found


def _answer(
    engine: Engine, url: str, params: dict[str, str], login: dict[str, str], what: str, *, body: str = ""
) -> Iterator[Any]:
    """Yields the engine's messages one by one. Raises EngineAway if the connection breaks or the engine falls silent.
    The docker package's own `pull` has no time-out, and its `push` times out sooner than a registry may need."""
    api = engine.api
    headers = {**({"Content-Type": "application/json"} if body else {}), **login}
    response = api._post(url, data=body or None, params=params, headers=headers, stream=True, timeout=SILENCE_TIMEOUT)
    api._raise_for_status(response)
    with closing(response):
        try:
            yield from api._stream_helper(response, decode=True)
        except BROKEN as error:
            text = (
                f"{what}: the connection to the engine at {engine.address} was interrupted: {clean(str(error))[:200]}"
            )
            raise EngineAway(
                text,
                hint="check that the engine is running and try again; layers that it already has are not sent again",
            ) from error


def _messages(stream: Iterable[Any], what: str, say: Say, *, sending: bool) -> Iterable[dict[str, Any]]:
    """Yields the engine's messages while it pushes or pulls, and logs each layer once when it is done. Raises the
    Podium error that corresponds to an error message."""
    done = re.compile(r"Pushed|Layer already exists|Mounted from .*" if sending else r"Pull complete|Already exists")
    progress = _Progress("Pushing" if sending else "Downloading", say)
    for message in stream:
        told = cast("dict[str, Any]", message) if isinstance(message, dict) else {}
        if "error" in told:
            raise refusal(docker_errors.APIError(str(told["error"]), explanation=str(told["error"])), what)
        status = str(told.get("status", ""))
        if done.fullmatch(status) and told.get("id"):
            say(f"  {clean(str(told['id']))[:20]} {status.lower()}")
        progress.see(told, status)
        yield told


class _Progress:
    """Logs from time to time how much of all layers was transferred: a layer of gigabytes would otherwise take
    minutes without a line."""

    def __init__(self, status: str, say: Say) -> None:
        self._status, self._say = status, say
        self._layers: dict[str, tuple[int, int]] = {}
        self._said = time.monotonic()

    def see(self, message: dict[str, Any], status: str) -> None:
        """Counts one progress message of the engine and logs a line if the last one is old enough."""
        detail: dict[str, Any] = message.get("progressDetail") or {}
        if status != self._status or not isinstance(detail.get("total"), int):
            return
        self._layers[str(message.get("id", ""))] = (int(detail.get("current") or 0), int(detail["total"]))
        if time.monotonic() - self._said >= _PROGRESS_INTERVAL:
            self._said = time.monotonic()
            here, whole = (sum(column) for column in zip(*self._layers.values(), strict=True))
            self._say(f"  {store.megabytes(here)} of {store.megabytes(whole)}")
