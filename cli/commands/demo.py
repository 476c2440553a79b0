"""demo: everything on the example project, told as it happens."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import signal
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.cockpit import demonstration
from ...core.domain.demo import DemoEvent, DemoImages, DemoResult, EventKind
from ...core.domain.text import clean
from ...core.domain.text.format import duration
from ...core.errors import PodiumError, UsageError
from ..options import Output
from ..session import start
from ..text import diagnostics, output
from ..text.diagnostics import glyph, note, paint
from ..text.output import Column, Format
from . import ui

if TYPE_CHECKING:
    from ...core.demo.story import Demo

_IMAGES = DemoImages()
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Signals that come within so many seconds count as one interrupt.
_ONE_INTERRUPT = 1.0
_RESULTS = (
    Column("WHAT"),
    Column("OUTCOME"),
    Column("TOOK", right=True),
    Column("REQUESTS", right=True),
    Column("LOST", right=True),
)


Where = Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to make the project. It must not exist yet.")]
Docker = Annotated[bool, typer.Option("--docker", help="In containers of a Docker engine, with canaries.")]
Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="IMAGE",
        help=f"With --docker: an image that has Python and pip. Default: {_IMAGES.base}.",
        show_default=False,
    ),
]
ProxyImage = Annotated[
    str | None,
    typer.Option(
        "--proxy-image",
        metavar="IMAGE",
        help=f"With --docker: an image that has HAProxy. Default: {_IMAGES.proxy}.",
        show_default=False,
    ),
]
Host = Annotated[bool, typer.Option("--host", help="With pushes to a Git host on this machine, and results told back.")]
Drift = Annotated[
    bool, typer.Option("--drift", help="With an autumn of late labels: monitors, alerts, a retraining and its canary.")
]
NoUi = Annotated[bool, typer.Option("--no-ui", help="Exit when it is done, instead of opening the cockpit.")]


def demo(
    where: Where = Path("flights-demo"),
    docker: Docker = False,
    base: Base = None,
    proxy_image: ProxyImage = None,
    host: Host = False,
    drift: Drift = False,
    no_ui: NoUi = False,
    output_format: Output = Format.TABLE,
) -> int:
    """Show everything on a real example: a model of flights from New York, from a commit to serving, promoted,
    refused and rolled back.

    It takes about a minute and a half, with --docker or --drift three. At the end, and on Ctrl-C, everything that it
    started is stopped; the directory is kept for you to look at.

    \b
    Example:
      podium demo
      podium demo /tmp/flights --no-ui
      podium demo --docker --no-ui
      podium demo --host --no-ui
      podium demo --drift --no-ui
    """
    if not docker and (base or proxy_image):
        raise UsageError("--base and --proxy-image name images for Docker", hint="add --docker, or omit them")
    chosen = [name for name, wanted in (("--docker", docker), ("--host", host), ("--drift", drift)) if wanted]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} are demonstrations of their own", hint="choose one")
    directory = start() / where
    images = DemoImages(base or _IMAGES.base, proxy_image or _IMAGES.proxy) if docker else None
    with _ends_on_signals():
        played = demonstration(directory, docker=images, host=host, drift=drift)
        teller = _Teller()
        try:
            _play(played, teller, output_format)
            if not no_ui and ui.unable() is None:
                ui.show(played.cockpit)
        except KeyboardInterrupt:
            teller.close()
            note("interrupted; stopping what was started", style="yellow")
            raise
        finally:
            teller.close()
            _stop(played, directory)
    return diagnostics.DONE


def _play(played: Demo, teller: _Teller, output_format: Format) -> None:
    for event in played.play():
        teller.tell(event)
    teller.close()
    _summary(played.results, output_format)


@contextlib.contextmanager
def _ends_on_signals() -> Iterator[None]:
    """Makes a lost terminal and a plain `kill` end the demonstration as Ctrl-C does: what it started must not outlive
    it. Of several in a row (a terminal that goes sends more than one) the first counts: the others would strike while
    it is being stopped."""
    last = -math.inf

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > _ONE_INTERRUPT:
            last = now
            raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(played: Demo, directory: Path) -> None:
    """Stops everything and ignores signals meanwhile: a second Ctrl-C would leave replicas behind."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _ENDING}
    try:
        stopped = played.stop()
    except PodiumError as error:
        diagnostics.report(error)
        return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stopped:
        note(f"stopped: {', '.join(clean(each) for each in stopped)}", style="dim")
        shown = shlex.quote(os.path.relpath(directory))
        diagnostics.hint(f"see everything that happened:  podium -C {shown} ui")
        diagnostics.hint(
            f"serve the champion again:      podium -C {shown} start -e production --yes --confirm production"
        )


class _Teller:
    """Tells events on standard error. On a terminal the last line says what is being done now, and is replaced."""

    def __init__(self) -> None:
        self._live = diagnostics.colourful()
        self._doing: list[str] = []
        self._waiting = ""
        self._began = time.monotonic()

    def tell(self, event: DemoEvent) -> None:
        self._wipe()
        text, detail = clean(event.text), clean(event.detail)
        took = duration(event.seconds) if event.seconds is not None else ""
        aside = "  ".join(filter(None, [detail, took]))
        if event.kind is EventKind.CHAPTER:
            self._doing.clear()
            self._waiting = ""
            at = paint(f"{time.monotonic() - self._began:5.1f} s", "dim")
            note()
            self._lines((at, " "), 8, text, aside, bold=True)
        elif event.kind is EventKind.DOING:
            self._doing.append(event.text)
        elif event.kind is EventKind.WAITING:
            self._waiting = event.text
        else:
            good = event.kind is EventKind.DONE
            mark = paint(glyph("✓", "+") if good else glyph("✗", "x"), "green" if good else "red")
            self._doing = [each for each in self._doing if not event.text.startswith(each)]
            self._lines(("         ", mark), 10, text, aside)
        self._draw()

    def _lines(self, mark: tuple[str, ...], taken: int, text: str, aside: str, *, bold: bool = False) -> None:
        """Writes a text after its mark, which takes so many cells, and what stands aside; folds them at the width of
        the terminal. A pipe has no width."""
        shown = text.lstrip(" ")
        lead = len(text) - len(shown)
        room = _columns() - taken - lead - 1
        folded = textwrap.wrap(shown, room, subsequent_indent="  ", break_long_words=False) or [""]
        beside = aside and len(folded[-1]) + len(aside) + 2 <= room
        lines = [[paint(each, "bold") if bold else each] for each in folded]
        if beside:
            lines[-1] += ["  ", paint(aside, "dim")]
        elif aside:
            asides = textwrap.wrap(aside, room, initial_indent="  ", subsequent_indent="  ", break_long_words=False)
            lines += [[paint(each, "dim")] for each in asides]
        note(*mark, " " * (1 + lead), *lines[0])
        for each in lines[1:]:
            note(" " * (taken + 1 + lead), *each)

    @property
    def _awaited(self) -> list[str]:
        return [*self._doing, *filter(None, [self._waiting])]

    def _draw(self) -> None:
        if self._live and self._awaited:
            shown = output.cut(", ".join(clean(each) for each in self._awaited), 66)
            diagnostics.redraw("         ", paint(glyph("…", "."), "cyan"), f" {shown}")

    def _wipe(self) -> None:
        if self._live and self._awaited:
            diagnostics.wipe()

    def close(self) -> None:
        self._wipe()
        self._doing.clear()
        self._waiting = ""


def _columns() -> int:
    """Returns how wide the terminal is; a pipe is as wide as can be."""
    try:
        return max(40, os.get_terminal_size(sys.stderr.fileno()).columns or 80)
    except (OSError, ValueError):
        return 10_000


def _summary(results: list[DemoResult], output_format: Format) -> None:
    cells = [
        (
            each.what,
            each.outcome,
            duration(each.seconds),
            "" if each.requests is None else str(each.requests),
            "" if each.lost is None else str(each.lost),
        )
        for each in results
    ]
    note()
    shapes = (
        {
            "what": each.what,
            "outcome": each.outcome,
            "seconds": None if each.seconds is None else round(each.seconds, 3),
            "requests": each.requests,
            "lost": each.lost,
            "reasons": dict(each.reasons),
            "numbers": dict(each.numbers),
        }
        for each in results
    )
    output.rows(output_format, _RESULTS, cells, shapes)
    output.flush()
