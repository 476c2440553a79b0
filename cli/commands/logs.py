"""logs: what steps printed. Here the lines are the data, so they go to standard output."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable
from itertools import chain
from typing import Annotated

import typer

from ...core.cockpit import Cockpit, LogLine, without_redraws
from ...core.domain.runs import RunDetail, Step, StepState
from ...core.errors import NotFound, UsageError
from ..interaction.follow import POLL_INTERVAL
from ..interaction.step_lines import StepLines
from ..options import LogOptions, RunName, environment_option
from ..text import diagnostics, output
from ..text.log_lines import LineWriter, Stream
from ..text.output import Format
from .run_history import find_run

StepName = Annotated[
    str | None,
    typer.Argument(
        metavar="[STEP]", help="One step; `train` also means the cells of its matrix. Default: all.", show_default=False
    ),
]
OfWorker = Annotated[bool, typer.Option("--worker", help="Print the messages of the run's worker instead.")]
OfEnvironment = Annotated[
    str | None, environment_option("Print the logs of this environment's replicas instead, merged in time order.")
]
OfReplica = Annotated[
    str, typer.Option("--replica", metavar="REPLICA", help="With -e: only this replica.", show_default=False)
]


def logs(
    cockpit: Cockpit,
    options: LogOptions,
    run: RunName = "last",
    step: StepName = None,
    worker: OfWorker = False,
    environment: OfEnvironment = None,
    replica: OfReplica = "",
) -> int:
    """Print the output of a run's steps, or of an environment's replicas. With -o json, one JSON object per line.

    \b
    Example:
      podium logs 12 train --tail 20
      podium logs last -f --timestamps
      podium logs -e production -f
    """
    if environment is not None:
        if run != "last" or step is not None or worker:
            raise UsageError(
                "-e prints the logs of replicas and takes no run",
                hint=f"podium logs -e {environment} --replica REPLICA",
            )
        from .replica_logs import replica_logs

        return replica_logs(cockpit, environment, replica, options)
    if replica:
        raise UsageError(
            "--replica needs an environment", hint=f"podium logs -e ENVIRONMENT --replica {shlex.quote(replica)}"
        )
    number = find_run(cockpit, run)
    detail = cockpit.runs.get(number)
    names = [each.name for each in _chosen(detail, step)]
    if gone := cockpit.runs.files_gone(number):
        diagnostics.note(gone, style="dim")
        return diagnostics.DONE
    if worker:
        return _worker(cockpit, number)
    printer = _Printer(cockpit, number, options, several=len(names) > 1)
    for name in names:
        printer.show(name, tail=options.tail, over=not options.follow)
    return _follow(cockpit, number, names, printer) if options.follow else diagnostics.DONE


def _follow(cockpit: Cockpit, number: int, names: list[str], printer: _Printer) -> int:
    """Prints new lines until the followed steps have finished."""
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
                output.logged(line.rstrip("\n"))
    return diagnostics.DONE


class _Printer:
    """Prints the lines of steps, each from where it left off."""

    def __init__(self, cockpit: Cockpit, run_id: int, options: LogOptions, *, several: bool) -> None:
        self._lines = StepLines(cockpit, run_id)
        self._writer = LineWriter(
            source="step",
            several=several,
            timestamps=options.timestamps,
            stream=options.stream,
            json=options.output_format is Format.JSON,
        )

    def show(self, step: str, *, tail: int | None = None, over: bool = False) -> None:
        """Prints what is new of a step. Where its log is `over`, or is not followed, a progress bar is one line."""
        if tail is not None:
            wanted = None if self._writer.stream is Stream.ALL else self._writer.wants
            lines: Iterable[LogLine] = self._lines.tail(step, tail, wanted)
        else:
            lines = chain.from_iterable(self._lines.new(step))
        for line in without_redraws(lines) if over else lines:
            self._writer.write(step, line)
