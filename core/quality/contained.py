"""What the processes of models and of a project's own metrics have in common: they answer requests, and contain
whatever the code that they run for somebody else does."""

from __future__ import annotations

import json
import os
import signal
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn

from ..child import end_with_parent
from .metrics import Unmeasurable
from .model_process import HEAD
from .reasons import whole_reason

Handler = Callable[[Mapping[str, Any], bytes], tuple[dict[str, Any], bytes]]


class Failed(Exception):
    """Raised when somebody else's code failed. `stage` is what it was doing, in words."""

    def __init__(self, stage: str, error: str, hint: str = "") -> None:
        super().__init__(error)
        self.stage, self.hint = stage, hint


def within(stage: str, call: Callable[[], Any], told: Callable[[BaseException], str] | None = None) -> Any:
    """Runs somebody else's code and contains whatever it raises, an attempt to exit among it. `told` says what the
    error was, where that is more than its type and message."""
    try:
        return call()
    except Unmeasurable as error:
        raise Failed(stage, error.message, error.hint) from error
    except BaseException as error:
        raise Failed(stage, told(error) if told else f"{type(error).__name__}: {whole_reason(error)}") from error


def begin(parent: str) -> None:
    """Has this process end with the process `parent`. A child of the preloading server is ended by that."""
    end_with_parent(signal.SIGKILL)
    if os.getppid() != int(parent):
        os._exit(1)


def serve(handler: Handler) -> NoReturn:
    """Answers the requests on standard input, a line of JSON and its bytes each, until there are no more. What
    `handler` runs gets neither: its standard input is empty, and what it prints is thrown away."""
    requests, answering = os.fdopen(os.dup(0), "rb"), os.dup(1)
    with Path(os.devnull).open("r+b") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    warnings.simplefilter("ignore")
    with requests, os.fdopen(answering, "wb") as answers:
        for line in requests:
            request: dict[str, Any] = json.loads(line)
            payload = requests.read(int(request.get("bytes", 0)))
            try:
                _answer(answers, *handler(request, payload))
            except Failed as error:
                _answer(answers, {"stage": error.stage, "error": str(error), "hint": error.hint})
    # What somebody else's code left running in threads, or registered for the end, is not waited for.
    os._exit(0)


def _answer(answers: IO[bytes], document: Mapping[str, Any], payload: bytes = b"") -> None:
    written = json.dumps(document).encode()
    answers.write(HEAD.pack(len(written), len(payload)))
    answers.write(written)
    answers.write(payload)
    answers.flush()
