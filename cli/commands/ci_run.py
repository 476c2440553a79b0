"""`podium ci run`: a pipeline inside a job of the host's CI, told in what the host's log understands."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.cockpit import ci_job as job_log
from ...core.cockpit.ci_job import Job
from ...core.domain.runs import RunDetail, RunState, Step, StepState
from ...core.domain.verdicts import GateReport
from ...core.errors import PodiumError
from ..completion import complete_pipeline
from ..interaction.step_lines import StepLines
from ..options import Output
from ..text import diagnostics, output, shapes
from ..text.output import Format
from .runs import only_pipeline, parameters

_POLL_INTERVAL = 0.1
# A job that is cancelled has little time before it is killed: GitHub 7.5 s, then 2.5 s more.
_END_SECONDS = 6.0


def ci_run(
    cockpit: Cockpit,
    pipeline: Annotated[
        str | None,
        typer.Argument(
            metavar="[PIPELINE]",
            help="The pipeline. Default: the only one.",
            autocompletion=complete_pipeline,
            show_default=False,
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A pipeline parameter; may be repeated."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", metavar="N", min=1, help="How many steps run at a time.", show_default=False),
    ] = None,
    summary: Annotated[
        str,
        typer.Option("--summary", metavar="FILE", help="Add the summary, in Markdown, to FILE.", show_default=False),
    ] = "",
    outputs: Annotated[
        str, typer.Option("--outputs", metavar="FILE", help="Add the outputs to FILE.", show_default=False)
    ] = "",
    output_format: Output = Format.TABLE,
) -> int:
    """Run a pipeline inside a CI job of GitHub Actions, GitLab CI or Gitea Actions, and wait for it.

    Each step's log is a group of the host's log, failures are annotations, and the gate's report is the job's summary.
    A cancelled job cancels the run. A step that waits for an approval ends the job (4): nobody can approve in it.

    \b
    Example:
      podium ci run release
      podium ci run release --summary podium.md --outputs podium.env
    """
    job = job_log.job_of(os.environ)
    name = pipeline or only_pipeline(cockpit)
    run = cockpit.runs.start(name, params=parameters(param or []), jobs=jobs, why=job.why)
    with _ends() as ends:
        detail, waited = _follow(cockpit, job, run.id, ends)
    for title, message in job_log.failures(detail):
        diagnostics.job_commands([job_log.annotation(job, "error", title, message)])
    _write(job, detail, _reports(cockpit, run.id), summary or job.summary, outputs or job.outputs)
    if output_format is Format.JSON:
        output.document(shapes.run(detail.run))
    return _outcome(detail, ends, waited)


def _outcome(detail: RunDetail, ends: list[int], waited: bool) -> int:
    if ends:
        return diagnostics.INTERRUPTED
    if waited:
        return diagnostics.REFUSED
    return diagnostics.DONE if detail.run.state is RunState.SUCCEEDED else diagnostics.FAILED


_WAITS = "it waits for an approval, which nobody can give in a CI job"


def _follow(cockpit: Cockpit, job: Job, run_id: int, ends: list[int]) -> tuple[RunDetail, bool]:
    """Prints each step's log as it ends; returns the run when that is over, and whether it was ended because it waited
    for a person."""
    told: set[str] = set()
    lines = StepLines(cockpit, run_id)
    deadline, waited = 0.0, False
    while True:
        detail = cockpit.runs.get(run_id)
        for step in detail.steps:
            if step.state.finished and step.name not in told:
                told.add(step.name)
                _print(job, step, lines)
        waits = detail.run.state is RunState.WAITING and not any(
            step.state is StepState.RUNNING for step in detail.steps
        )
        if (ends or waits) and not deadline and not detail.run.state.finished:
            deadline, waited = time.monotonic() + _END_SECONDS, waits
            cockpit.runs.cancel(run_id, why=_WAITS if waits else "the CI job was cancelled")
            if waits:
                names = ", ".join(step.name for step in detail.steps if step.state is StepState.WAITING)
                diagnostics.job_commands([job_log.annotation(job, "error", names, _WAITS)])
        if detail.run.state.finished or (deadline and time.monotonic() > deadline):
            return detail, waited
        time.sleep(_POLL_INTERVAL)


def _print(job: Job, step: Step, lines: StepLines) -> None:
    title = f"{step.name}: {step.state.value}" + (", unchanged" if step.cached else "")
    texts = (line.text for batch in lines.new(step.name) for line in batch)
    diagnostics.job_commands(job_log.group(job, title, texts))


def _reports(cockpit: Cockpit, run_id: int) -> list[GateReport]:
    """Returns what gates said in this run, the last one last."""
    try:
        rows = cockpit.models.lineage(f"run:{run_id}")
    except PodiumError:
        return []
    found = [
        report
        for row in rows
        if row.version is not None
        for report in cockpit.models.gate_reports(cockpit.models.version(row.version, row.model))
        if report.run_id == run_id
    ]
    return sorted(found, key=lambda report: report.at)


def _write(job: Job, detail: RunDetail, reports: Sequence[GateReport], summary: str, outputs: str) -> None:
    """Adds the summary and the outputs of a run to the files of these names; an empty name is none."""
    _append(summary, job_log.summary(detail, reports))
    _append(outputs, job_log.written_outputs(job, job_log.outputs(detail, reports)))


def _append(file: str, text: str) -> None:
    if not file:
        return
    try:
        with Path(file).open("a", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        diagnostics.note(f"{file} cannot be written: {error.strerror}", style="yellow")


@contextmanager
def _ends() -> Iterator[list[int]]:
    """Collects the signals by which a host ends a job that was cancelled, while the block runs."""
    ends: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        ends.append(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ends
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
