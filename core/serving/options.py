"""The command-line options of a replica."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from . import senders
from .forms.shape import MAX_VALUES, Shape
from .guard import MAX_BATCH, REFUSE_SECONDS
from .senders import OPEN

MEBIBYTE = 1024 * 1024
# An image says this way what it holds; the command line has the last word.
PREFIX = "PODIUM_SERVING_"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a replica. Sizes are in bytes, times in seconds."""

    model: Path
    """Directory of the model."""
    port: int
    """Port to listen on."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    version: str = ""
    """Version to report."""
    model_name: str = ""
    """Model name to report."""
    environment: str = ""
    """Environment to report."""
    digest: str = ""
    """Digest of the model's files to report."""
    commit: str = ""
    """Commit to report."""
    capture_dir: Path | None = None
    """Directory of captures; None captures nothing."""
    capture_rate: float = 0.0
    """Share 0..1 of requests to capture."""
    capture_bytes: int = 64 * MEBIBYTE
    """Most bytes of each kind of capture file."""
    keep_requests: bool = False
    """Whether id, time and prediction of every request are kept there (requests.py)."""
    redact: tuple[str, ...] = ()
    """Columns of requests that are never kept (redaction.py)."""
    key: str = ""
    """Column whose values are kept with each request, so that labels can name it; empty for none."""
    key_salt: str = field(default="", repr=False)
    """Salt of the digests that are kept instead of keys; empty for the keys themselves."""
    feedback: str = OPEN
    """Who may send feedback: `open`, `closed`, or clients with digests of their tokens (senders.py)."""
    feedback_rate: float = 200.0
    """Labels that one client may send in a second."""
    max_body: int = 16 * MEBIBYTE
    """Most bytes of a request."""
    max_values: int = MAX_VALUES
    """Most values of a request (forms/shape.py)."""
    arrival: float = 30.0
    """Seconds in which a request has to arrive."""
    timeout: float = 60.0
    """Seconds in which it has to be predicted then."""
    guard: Path | None = None
    """File in which the replicas of an environment remember requests that end processes (guard.py); None for none."""
    refuse_for: float = REFUSE_SECONDS
    """Seconds for which such a request is refused."""
    drain: float = 30.0
    """Seconds that requests in flight get after TERM."""
    inline: float = 0.005
    """Mean seconds below which predictions may run on the event loop (predicting.py); 0 sends all to a thread."""
    batch_max: int = 0
    """Most requests that are predicted together (batching.py); 0 predicts each alone."""
    batch_wait: float = 0.002
    """Seconds that a request waits for others."""
    unix: Path | None = None
    """Unix socket to listen on instead of host and port; None for those."""
    fd: int | None = None
    """File descriptor of a socket that is bound already."""
    loop: str = "auto"
    """uvicorn's name of the event loop; `auto` is the fastest one installed."""
    http: str = "auto"
    """uvicorn's name of the HTTP parser; `auto` is the fastest one installed."""

    @property
    def place(self) -> str:
        """Returns where it listens, in words."""
        return str(self.unix) if self.unix is not None else f"{self.host}:{self.port}"

    @property
    def shape(self) -> Shape:
        """Returns what a request may hold."""
        return Shape(self.max_values)


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not a share between 0 and 1")
    return value


def parse(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> Options:
    """Parses the command line. argparse ends the process with 2 and a usage line if something is missing or wrong.

    What a replica reports may also be set in the environment: PODIUM_SERVING_VERSION for --version, and so on;
    likewise --capture-dir, --capture-rate, --keep-requests (true), --redact, --key,
    --feedback, --feedback-rate, --guard, --batch-max, --batch-wait, --max-body, --max-values, --arrival and --timeout.
    """
    parser = argparse.ArgumentParser(
        prog="python -m podium.core.serving.server", description="Serves one model version over HTTP (docs/serving.md)."
    )
    _add_serving(parser.add_argument)
    _add_reported(parser.add_argument, environ)
    _add_captures(parser.add_argument, environ)
    _add_labels(parser.add_argument, environ)
    _add_guard(parser.add_argument, environ)
    _add_batches(parser.add_argument, environ)
    _add_limits(parser.add_argument, environ)
    # A salt is no option: other users of the machine see a process's words, not its variables.
    return Options(**vars(parser.parse_args(arguments)), key_salt=_set(environ, "--key-salt"))


def _set(environ: Mapping[str, str], option: str) -> str:
    """Returns what the environment says of an option; empty if nothing."""
    return environ.get(PREFIX + option.removeprefix("--").replace("-", "_").upper(), "")


def _add_serving(add: Callable[..., object]) -> None:
    add("--model", type=Path, required=True, help="directory with an MLmodel file")
    add("--port", type=int, required=True, help="0 takes a free one")
    add("--host", default="127.0.0.1")
    add("--unix", type=Path, help="listen on this Unix socket, of mode 600, instead of --host and --port")
    add("--fd", type=int, help="serve on this inherited listening socket instead of --host and --port")
    add("--loop", choices=("auto", "asyncio", "uvloop"), default="auto")
    add("--http", choices=("auto", "h11", "httptools"), default="auto")


def _add_reported(add: Callable[..., object], environ: Mapping[str, str]) -> None:
    for name in ("--version", "--model-name", "--environment", "--digest", "--commit"):
        add(name, default=_set(environ, name), help="reported by /version and /metrics")


def _add_captures(add: Callable[..., object], environ: Mapping[str, str]) -> None:
    add(
        "--capture-dir",
        type=Path,
        default=_set(environ, "--capture-dir") or None,
        help="where sampled requests and feedback are kept",
    )
    add(
        "--capture-rate",
        type=_share,
        default=_set(environ, "--capture-rate") or 0.0,
        help="share of requests kept, 0 to 1",
    )
    add(
        "--keep-requests",
        action=argparse.BooleanOptionalAction,
        default=_set(environ, "--keep-requests") == "true",
        help="keep id, time, status and prediction of every request there (default: no)",
    )
    add("--capture-bytes", type=int, default=64 * MEBIBYTE, help="most that one replica keeps (default: %(default)s)")


def _add_labels(add: Callable[..., object], environ: Mapping[str, str]) -> None:
    add(
        "--redact",
        type=_columns,
        default=_set(environ, "--redact") or "[]",
        help="columns of requests that are never kept, as a JSON list",
    )
    add("--key", default=_set(environ, "--key"), help="column by which labels may name a request")
    add(
        "--feedback",
        type=_feedback,
        default=_set(environ, "--feedback") or OPEN,
        help="who may send feedback: open (default), closed, or NAME=SHA256 of a token, separated by commas",
    )
    add(
        "--feedback-rate",
        type=float,
        default=_set(environ, "--feedback-rate") or 200.0,
        help="labels that one client may send in a second (default: 200)",
    )


def _columns(text: str) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in cast("list[object]", found)):
        raise argparse.ArgumentTypeError(f"{text} is not a JSON list of names")
    return tuple(cast("list[str]", found))


def _feedback(text: str) -> str:
    try:
        senders.read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _add_guard(add: Callable[..., object], environ: Mapping[str, str]) -> None:
    add(
        "--guard",
        type=Path,
        default=_set(environ, "--guard") or None,
        help="file in which the replicas of an environment remember requests that end processes",
    )
    add(
        "--refuse-for",
        type=float,
        default=REFUSE_SECONDS,
        help="seconds for which a request that ended two processes is refused (default: %(default)s)",
    )


def _add_batches(add: Callable[..., object], environ: Mapping[str, str]) -> None:
    add(
        "--batch-max",
        type=_batch,
        default=_set(environ, "--batch-max") or "0",
        help=f"requests that may be predicted together, up to {MAX_BATCH}; 0: each alone (default)",
    )
    add(
        "--batch-wait",
        type=float,
        default=_set(environ, "--batch-wait") or 0.002,
        help="seconds that a request waits for others (default: 0.002)",
    )


def _batch(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_BATCH:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to {MAX_BATCH}")
    return int(text)


def _add_limits(add: Callable[..., object], environ: Mapping[str, str]) -> None:
    add(
        "--max-body",
        type=int,
        default=_set(environ, "--max-body") or 16 * MEBIBYTE,
        help="largest request in bytes (default: 16 MiB)",
    )
    add(
        "--max-values",
        type=int,
        default=_set(environ, "--max-values") or MAX_VALUES,
        help="most values of a request: cells, elements, members (default: a million)",
    )
    add(
        "--arrival",
        type=float,
        default=_set(environ, "--arrival") or 30.0,
        help="seconds for a request's body to arrive (default: 30)",
    )
    add(
        "--timeout",
        type=float,
        default=_set(environ, "--timeout") or 60.0,
        help="seconds for its prediction (default: 60)",
    )
    add(
        "--drain",
        type=float,
        default=30.0,
        help="seconds that requests in flight get after TERM (default: %(default)s)",
    )
    add(
        "--inline",
        type=float,
        default=0.005,
        help="mean seconds of a prediction up to which it may run on the event loop (default: %(default)s)",
    )
