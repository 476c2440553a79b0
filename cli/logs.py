"""logs: what steps printed. Here the lines are the data, so they go to standard output."""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import typer

from ..core.cockpit import Cockpit, LogLine, clean
from ..core.domain.format import moment
from ..core.domain.runs import RunDetail, Step, StepState
from ..core.errors import NotFound, UsageError
from . import diagnostics, output
from .follow import POLL_INTERVAL
from .options import RunName, environment_option
from .output import Format, Output
from .runs import find_run
from .step_lines import StepLines


class Stream(StrEnum):
    ALL = "all"
    OUT = "out"
    ERR = "err"
    PODIUM = "podium"


_LETTERS = {"o": Stream.OUT, "e": Stream.ERR, "p": Stream.PODIUM}


def logs(
    cockpit: Cockpit,
    run: RunName = "last",
    step: Annotated[
        str | None,
        typer.Argument(help="One step; `train` also means the cells of its matrix. Default: all.", show_default=False),
    ] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run is over.")] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", "-n", min=0, help="Only the last lines of each step.", show_default=False)
    ] = None,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", "-t", help="Begin each line with its time (UTC).")
    ] = False,
    stream: Annotated[
        Stream,
        typer.Option("--stream", help="Only what went to standard output, standard error, or Podium's own notes."),
    ] = Stream.ALL,
    worker: Annotated[bool, typer.Option("--worker", help="What the run's worker itself said.")] = False,
    environment: Annotated[
        str | None, environment_option("What an environment's replicas print, in time order, instead.")
    ] = None,
    replica: Annotated[
        str, typer.Option("--replica", metavar="REPLICA", help="With -e: one of them.", show_default=False)
    ] = "",
    output_format: Output = Format.TABLE,
) -> int:
    """Print what a run's steps, or an environment's replicas, printed. With -o json, one JSON object a line.

    \b
    Example:
      podium logs 12 train --tail 20
      podium logs last -f --timestamps
      podium logs -e production -f
    """
    if environment is not None:
        from .containers import replica_logs

        if run != "last" or step is not None or worker:
            raise UsageError(
                "-e is about an environment's replicas and takes no run",
                hint=f"podium logs -e {environment} --replica NAME",
            )
        letter = next((key for key, each in _LETTERS.items() if each is stream), "")
        return replica_logs(
            cockpit,
            environment,
            replica,
            follow=follow,
            tail=tail,
            timestamps=timestamps,
            stream=letter,
            output_format=output_format,
        )
    if replica:
        raise UsageError("--replica needs an environment", hint="podium logs -e ENVIRONMENT --replica NAME")
    number = find_run(cockpit, run)
    detail = cockpit.runs.get(number)
    if worker:
        return _worker(cockpit, number)
    names = [each.name for each in _chosen(detail, step)]
    printer = _Printer(
        cockpit, number, several=len(names) > 1, timestamps=timestamps, stream=stream, json=output_format is Format.JSON
    )
    if not follow:
        for name in names:
            printer.show(name, tail=tail)
        return diagnostics.DONE
    return _follow(cockpit, number, names, printer, tail)


def _follow(cockpit: Cockpit, number: int, names: list[str], printer: _Printer, tail: int | None) -> int:
    """Print what is there and what comes, until the followed steps are over."""
    for name in names:
        printer.show(name, tail=tail)
    while True:
        detail = cockpit.runs.get(number)
        states = {step.name: step.state for step in detail.steps}
        for name in names:
            if states.get(name) is not StepState.PENDING:
                printer.show(name)
        output.flush()
        if detail.run.state.finished or all(states[name].finished for name in names if name in states):
            return diagnostics.DONE
        time.sleep(POLL_INTERVAL)


def _chosen(detail: RunDetail, step: str | None) -> list[Step]:
    if step is None:
        return list(detail.steps)
    found = [each for each in detail.steps if each.name == step or each.name.startswith(f"{step}[")]
    if not found:
        raise NotFound(
            f"run {detail.run.id} has no step {step!r}", hint=f"it has: {', '.join(each.name for each in detail.steps)}"
        )
    return found


def _worker(cockpit: Cockpit, number: int) -> int:
    path = cockpit.runs.worker_log(number)
    if path.exists():
        with path.open(encoding="utf-8", errors="backslashreplace") as file:
            for line in file:
                output.line(clean(line.rstrip("\n")))
    return diagnostics.DONE


class _Printer:
    """Prints the lines of steps, each from where it left off."""

    def __init__(
        self, cockpit: Cockpit, run_id: int, *, several: bool, timestamps: bool, stream: Stream, json: bool
    ) -> None:
        self.several = several
        self.timestamps = timestamps
        self.stream = stream
        self.json = json
        self._lines = StepLines(cockpit, run_id)

    def show(self, step: str, *, tail: int | None = None) -> None:
        if tail is not None:
            self._print(step, self._lines.tail(step, tail, None if self.stream is Stream.ALL else self._wanted))
            return
        for batch in self._lines.new(step):
            self._print(step, batch)

    def _wanted(self, line: LogLine) -> bool:
        return self.stream is Stream.ALL or _LETTERS.get(line.stream) is self.stream

    def _print(self, step: str, lines: Iterable[LogLine]) -> None:
        for line in lines:
            if not self._wanted(line):
                continue
            if self.json:
                stream = _LETTERS.get(line.stream, Stream.OUT).value
                output.json_line(
                    {"step": step, "number": line.number, "at": moment(line.at), "stream": stream, "text": line.text}
                )
            else:
                prefix = f"{moment(line.at) or ' ' * 24} " if self.timestamps else ""
                output.line(f"{prefix}{f'{clean(step)} | ' if self.several else ''}{clean(line.text)}")
