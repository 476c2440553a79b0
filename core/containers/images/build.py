"""Builds an image from a context with BuildKit, or with the classic builder on engines without BuildKit, and turns
their messages into log lines. BuildKit is called through the engine's own API, without a client program: Podium
needs nothing of what a client's session would add (files sent on demand, registry passwords, secrets). The whole
context is sent, the base image is pulled first, and no secret enters a build."""

from __future__ import annotations

import base64
import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any, cast

from docker import errors as docker_errors

from ...domain.frozen import Frozen
from ...domain.text import clean
from ...errors import PodiumError, RunFailed, Unreachable
from ..engine.client import Engine
from ..engine.errors import BROKEN, refusal
from . import buildkit_trace

Say = Callable[[str], None]

BUILDKIT = "buildkit"
CLASSIC = "classic"
# A step that downloads or compiles may be silent for minutes; an engine that is gone is silent for ever.
SILENCE_TIMEOUT = 900  # seconds
# Messages of an engine, or of its frontend, without BuildKit. Every other failure would also happen with the classic
# builder.
_NO_BUILDKIT = re.compile(
    r"buildkit .*not supported|invalid version|no active session|unknown builder|frontend .* not found", re.IGNORECASE
)
_STEP_LINE = re.compile(r"Step \d+/\d+ : ")
_ERROR_LINE = re.compile(r"\s*ERROR|.*no space left on device", re.IGNORECASE)
_NOISE_LINE = re.compile(r"^( ---> (?!Using cache)|Removing intermediate container|Successfully (built|tagged))")


class BuildRequest(Frozen):
    """What to build."""

    context: Callable[[], Iterator[bytes]]
    """Returns the build context, a tar with a `Dockerfile`; called once for each attempt."""
    tag: str = ""
    """The name of the image."""
    labels: Mapping[str, str] | None = None
    """Docker labels of the image; they cost no layer."""
    arguments: Mapping[str, str] | None = None
    """Values of the Dockerfile's ARG lines. The image's history keeps them, so they must not be secrets."""
    fresh: bool = False
    """Uses nothing from the build cache."""
    network: bool = True
    """Gives the build access to the network."""


class BuildResult(Frozen):
    """The result of a build: `steps` counts the steps that ran or were cached, `cached` those that were cached;
    `seconds` is the duration of the whole build."""

    image_id: str
    builder: str
    seconds: float
    steps: int = 0
    cached: int = 0


def build(
    engine: Engine, request: BuildRequest, *, say: Say, what: str = "building an image", builder: str = ""
) -> BuildResult:
    """Builds the image; `builder` forces one of the two builders. Raises RunFailed with the step that failed,
    Unreachable if the engine stops answering or its disk is full."""
    if builder != CLASSIC:
        try:
            return _build(engine, request, say, what, BUILDKIT)
        except PodiumError as error:
            if builder or not _NO_BUILDKIT.search(error.message):
                raise
            say("this engine has no BuildKit; building with the classic builder")
    return _build(engine, request, say, what, CLASSIC)


def _build(engine: Engine, request: BuildRequest, say: Say, what: str, builder: str) -> BuildResult:
    started = time.monotonic()
    reader: _MessageReader = _BuildKitReader(say) if builder == BUILDKIT else _ClassicReader(say)
    with engine.doing(what), closing(_request(engine, request, builder)) as response:
        try:
            for message in engine.api._stream_helper(response, decode=True):
                _read(reader, message, what)
        except BROKEN as error:
            text = (
                f"{what}: the connection to the engine at {engine.address} was interrupted: {clean(str(error))[:200]}"
            )
            raise Unreachable(
                text, hint="check that the engine is running, then run the step again; its cache keeps what was built"
            ) from error
    reader.flush()
    if not reader.image_id:
        raise Unreachable(
            f"{what}: the engine at {engine.address} stopped during the build",
            hint="check that it is running, then run the step again",
        )
    return BuildResult(reader.image_id, builder, time.monotonic() - started, reader.steps, reader.cached)


def _request(engine: Engine, request: BuildRequest, builder: str) -> Any:
    params: dict[str, Any] = {
        "version": "2" if builder == BUILDKIT else "1",
        "rm": True,
        "forcerm": True,
        "nocache": request.fresh,
        "pull": False,
    }
    if request.tag:
        params["t"] = request.tag
    if request.labels:
        params["labels"] = json.dumps(dict(request.labels))
    # As docker does: the way out that ~/.docker/config.json names. These arguments are the ones that no history keeps.
    proxies: dict[str, str] = engine.api._proxy_configs.get_environment()
    if request.arguments or proxies:
        params["buildargs"] = json.dumps({**proxies, **(request.arguments or {})})
    if not request.network:
        params["networkmode"] = "none"
    headers = {"Content-Type": "application/x-tar"}
    api = engine.api
    response = api._post(
        api._url("/build"), data=request.context(), params=params, headers=headers, stream=True, timeout=SILENCE_TIMEOUT
    )
    api._raise_for_status(response)
    return response


class _LineJoiner:
    """Joins pieces of text into lines."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._rest = ""

    def add(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._line(line)

    def flush(self) -> None:
        if self._rest:
            self._line(self._rest)
        self._rest = ""

    def _line(self, line: str) -> None:
        text = clean(line.rstrip("\r"))
        if text.strip() and not _NOISE_LINE.match(text):
            self._say(text)


class _MessageReader(ABC):
    def __init__(self, say: Say) -> None:
        self.say = say
        self.image_id = ""
        self.steps: int = 0
        self.cached: int = 0
        self.errors: list[str] = []

    @abstractmethod
    def read(self, message: Mapping[str, Any]) -> None: ...

    @abstractmethod
    def flush(self) -> None: ...


class _ClassicReader(_MessageReader):
    def __init__(self, say: Say) -> None:
        super().__init__(say)
        self._lines = _LineJoiner(self._line)

    def read(self, message: Mapping[str, Any]) -> None:
        if "stream" in message:
            self._lines.add(str(message["stream"]))
        elif "aux" in message and "ID" in message["aux"]:
            self.image_id = str(message["aux"]["ID"])
        elif "status" in message and "progressDetail" not in message:
            self._lines.add(f"{message['status']}\n")

    def flush(self) -> None:
        self._lines.flush()

    def _line(self, text: str) -> None:
        if _STEP_LINE.match(text):
            self.steps += 1
        if text.startswith(" ---> Using cache"):
            self.cached += 1
        if _ERROR_LINE.match(text):
            self.errors.append(text.strip())
        self.say(text)


class _BuildKitReader(_MessageReader):
    """Reads BuildKit's messages. Each step has a number, which is logged once when it starts and once when it ends,
    as in docker's plain output."""

    def __init__(self, say: Say) -> None:
        super().__init__(say)
        self._numbers: dict[str, int] = {}
        self._ended: set[str] = set()
        self._lines: dict[str, _LineJoiner] = {}

    def read(self, message: Mapping[str, Any]) -> None:
        if message.get("id") == "moby.image.id":
            self.image_id = str(message["aux"]["ID"])
        elif message.get("id") == "moby.buildkit.trace":
            news = buildkit_trace.decode(base64.b64decode(message["aux"]))
            for vertex in news.vertexes:
                self._vertex(vertex)
            for output in news.outputs:
                number = self._numbers.setdefault(output.digest, len(self._numbers) + 1)
                lines = self._lines.setdefault(
                    output.digest, _LineJoiner(lambda text, number=number: self._line(number, text))
                )
                lines.add(output.text.decode("utf-8", "replace"))

    def flush(self) -> None:
        for lines in self._lines.values():
            lines.flush()

    def _line(self, number: int, text: str) -> None:
        if _ERROR_LINE.match(text):
            self.errors.append(text.strip())
        self.say(f"#{number} {text}")

    def _vertex(self, vertex: buildkit_trace.Vertex) -> None:
        if not (vertex.started or vertex.cached) or vertex.digest in self._ended:
            return
        if vertex.digest not in self._numbers:
            self._numbers[vertex.digest] = len(self._numbers) + 1
            self.say(f"#{self._numbers[vertex.digest]} {clean(vertex.name)}")
        if not vertex.completed and not vertex.cached:
            return
        self._ended.add(vertex.digest)
        number = self._numbers[vertex.digest]
        if vertex.digest in self._lines:
            self._lines[vertex.digest].flush()
        if vertex.error:
            self.say(f"#{number} failed: {clean(vertex.error)[:500]}")
            return
        if not vertex.name.startswith("["):
            return
        if not vertex.name.startswith("[internal]"):
            self.steps += 1
            self.cached += int(vertex.cached)
        self.say(
            f"#{number} {'cached' if vertex.cached else f'done {max(0.0, vertex.completed - vertex.started):.1f} s'}"
        )


def _read(reader: _MessageReader, message: Any, what: str) -> None:
    """Reads one message. Raises the Podium error that corresponds to an error of the engine."""
    if not isinstance(message, dict):
        return
    told = cast("dict[str, Any]", message)
    if "error" not in told:
        reader.read(told)
        return
    reader.flush()
    text = str(told["error"])
    full = next((line for line in reader.errors if "no space left on device" in line.lower()), "")
    if full:
        raise refusal(docker_errors.APIError(full, explanation=full), what)
    if re.search(r"returned a non-zero code|exit code: \d|did not complete successfully", text):
        why = f" {clean(reader.errors[-1])[:400]}" if reader.errors else ""
        raise RunFailed(
            f"{what}: a step of the build failed: {clean(' '.join(text.split()))[:400]}.{why}",
            hint="read the step's output in the log above",
        )
    raise refusal(docker_errors.APIError(text, explanation=text), what)
