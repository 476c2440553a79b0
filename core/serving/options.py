"""What a replica is told on its command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MEBIBYTE = 1024 * 1024
# An image says this way what it holds; the command line has the last word.
PREFIX = "PODIUM_SERVING_"


@dataclass(frozen=True, slots=True)
class Options:
    """`capture_rate` is a share 0..1 of requests. Sizes are bytes, times seconds. `loop` and `http` are uvicorn's
    names, `auto` the fastest installed.

    `inline` is how long a prediction may take, on average, and still run on the event loop; see app.py. 0 sends
    every one to a thread.
    """

    model: Path
    port: int
    host: str = "127.0.0.1"
    version: str = ""
    model_name: str = ""
    environment: str = ""
    digest: str = ""
    commit: str = ""
    capture_dir: Path | None = None
    capture_rate: float = 0.0
    capture_bytes: int = 64 * MEBIBYTE
    max_body: int = 64 * MEBIBYTE
    timeout: float = 60.0
    drain: float = 30.0
    inline: float = 0.005
    fd: int | None = None
    loop: str = "auto"
    http: str = "auto"


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not a share between 0 and 1")
    return value


def parse(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> Options:
    """argparse ends the process with 2 and a usage line when something is missing or wrong. What is told about a
    replica may also stand in the environment: PODIUM_SERVING_VERSION for --version, and so on; likewise
    --capture-dir and --capture-rate."""

    def told(option: str) -> str:
        return environ.get(PREFIX + option.removeprefix("--").replace("-", "_").upper(), "")

    parser = argparse.ArgumentParser(
        prog="python -m podium.core.serving.server", description="Serves one model version over HTTP (docs/serving.md)."
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, help="directory with an MLmodel file")
    add("--port", type=int, required=True, help="0 takes a free one")
    add("--host", default="127.0.0.1")
    add("--fd", type=int, help="serve on this inherited listening socket instead of --host and --port")
    for name in ("--version", "--model-name", "--environment", "--digest", "--commit"):
        add(name, default=told(name), help="told by /version and /metrics")
    add(
        "--capture-dir",
        type=Path,
        default=told("--capture-dir") or None,
        help="where sampled requests and feedback are kept",
    )
    add("--capture-rate", type=_share, default=told("--capture-rate") or 0.0, help="share of requests kept, 0 to 1")
    add("--capture-bytes", type=int, default=64 * MEBIBYTE, help="most that one replica keeps (default: %(default)s)")
    add("--max-body", type=int, default=64 * MEBIBYTE, help="largest request in bytes (default: %(default)s)")
    add(
        "--timeout",
        type=float,
        default=60.0,
        help="seconds for a request's body to arrive, and again for its prediction (default: %(default)s)",
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
        help="mean seconds of a prediction up to which it runs on the event loop (default: %(default)s)",
    )
    add("--loop", choices=("auto", "asyncio", "uvloop"), default="auto")
    add("--http", choices=("auto", "h11", "httptools"), default="auto")
    return Options(**vars(parser.parse_args(arguments)))
