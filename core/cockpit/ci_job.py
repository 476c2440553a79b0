"""What a Git host understands of what a job in its CI prints: groups, annotations, a summary, outputs. Which host it is
is told by its documented variables.

Everything that comes from outside is data here: a line of a step is never a command of the host's, whatever it says.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

from ..domain.frozen import Frozen
from ..domain.runs import RunDetail, RunState, Step, StepState
from ..domain.text import clean, one_line
from ..domain.text.format import duration
from ..domain.verdicts import GateReport

MAX_SUMMARY_BYTES = 512 << 10
"""GitHub takes 1 MiB of a step."""
_MAX_CELL = 300
_UNSAFE = re.compile(r"[^\w./@:+-]")


class JobKind(StrEnum):
    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    """Gitea and Forgejo: the commands of GitHub, by their own runner."""
    PLAIN = "plain"


class Job(Frozen):
    """The CI job that this process is in. Paths are empty where the host names no such file."""

    kind: JobKind
    summary: str = ""
    """Where the job's summary is written, in Markdown."""
    outputs: str = ""
    """Where its outputs are written."""
    page: str = ""
    """The CI run's page."""
    sha: str = ""

    @property
    def why(self) -> str:
        """Returns the reason that a run in this job has."""
        return f"CI run {self.page}" if self.page else ""


def job_of(environment: Mapping[str, str]) -> Job:
    """Returns the CI job that a process with these variables is in."""
    here = environment.get
    if here("GITHUB_ACTIONS") == "true" or here("GITEA_ACTIONS") == "true" or here("FORGEJO_ACTIONS") == "true":
        gitea = here("GITEA_ACTIONS") == "true" or here("FORGEJO_ACTIONS") == "true"
        page = "/".join(
            (here("GITHUB_SERVER_URL", ""), here("GITHUB_REPOSITORY", ""), "actions/runs", here("GITHUB_RUN_ID", ""))
        )
        return Job(
            JobKind.GITEA if gitea else JobKind.GITHUB,
            here("GITHUB_STEP_SUMMARY", ""),
            here("GITHUB_OUTPUT", ""),
            page if here("GITHUB_SERVER_URL") and here("GITHUB_RUN_ID") else "",
            here("GITHUB_SHA", ""),
        )
    if here("GITLAB_CI") == "true":
        return Job(JobKind.GITLAB, page=here("CI_PIPELINE_URL", ""), sha=here("CI_COMMIT_SHA", ""))
    return Job(JobKind.PLAIN)


# What is printed


def group(job: Job, name: str, lines: Iterable[str], *, at: float | None = None) -> Iterator[str]:
    """Yields lines of output, cleaned, in a group that the host folds. None of them can end the group or act: where
    the host obeys what is printed, it is told to obey nothing until a word comes that they cannot know."""
    begin, end = _group(job, name, time.time() if at is None else at)
    token = secrets.token_hex(20)
    obeys = job.kind in (JobKind.GITHUB, JobKind.GITEA)
    yield begin
    if obeys:
        yield f"::stop-commands::{token}"
    for line in lines:
        # The mark before each line keeps its first word from being one that the host's page draws as a command.
        yield f"| {clean(line)}"
    if obeys:
        yield f"::{token}::"
    yield end


def _group(job: Job, name: str, at: float) -> tuple[str, str]:
    shown = clean(one_line(name))
    if job.kind is JobKind.GITLAB:
        number = f"podium_{secrets.token_hex(8)}"
        start = f"\x1b[0Ksection_start:{int(at)}:{number}[collapsed=true]\r\x1b[0K{shown}"
        return start, f"\x1b[0Ksection_end:{int(at)}:{number}\r\x1b[0K"
    if job.kind is JobKind.PLAIN:
        return f"=== {shown}", ""
    return f"::group::{_data(shown)}", "::endgroup::"


def annotation(job: Job, level: str, title: str, message: str, *, file: str = "", line: int = 0) -> str:
    """Returns the line by which the host shows a message above the log. `level` is error, warning or notice."""
    if job.kind in (JobKind.GITHUB, JobKind.GITEA):
        values = {"file": file, "line": str(line) if line else "", "title": title}
        properties = ",".join(f"{name}={_property(value)}" for name, value in values.items() if value)
        return f"::{level} {properties}::{_data(message)}"
    where = f" ({one_line(file)}{f':{line}' if line else ''})" if file else ""
    words = f"{level.upper()}: {one_line(title)}: {one_line(message)}{where}"
    colour = {"error": "31", "warning": "33"}.get(level)
    return f"\x1b[{colour};1m{words}\x1b[0m" if job.kind is JobKind.GITLAB and colour else words


def _data(text: str) -> str:
    """Returns a message's text as GitHub wants it written."""
    lines = "\n".join(clean(line) for line in text.splitlines())
    return lines.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(one_line(text)).replace(":", "%3A").replace(",", "%2C")


# What is written into files


def outputs(detail: RunDetail, reports: Sequence[GateReport]) -> dict[str, str]:
    """Returns what later jobs may want to know: the run, its state, and the version that it made."""
    made = next((each.results["version"] for each in detail.steps if each.results.get("version") is not None), "")
    model = next((str(each.results["model"]) for each in detail.steps if each.results.get("model")), "")
    verdict = reports[-1].verdict.value if reports else ""
    return {
        "run": str(detail.run.id),
        "state": detail.run.state.value,
        "commit": detail.run.commit,
        "model": model,
        "version": str(made),
        "verdict": verdict,
    }


def written_outputs(job: Job, values: Mapping[str, str]) -> str:
    """Returns the content of the outputs' file: GitHub's, or variables as GitLab's dotenv report takes them."""
    if job.kind in (JobKind.GITHUB, JobKind.GITEA):
        parts: list[str] = []
        for name, value in values.items():
            end = f"podium_{secrets.token_hex(16)}"
            parts.append(f"{name}<<{end}\n{one_line(value)}\n{end}\n")
        return "".join(parts)
    return "".join(f"PODIUM_{name.upper()}={_UNSAFE.sub('_', one_line(value))}\n" for name, value in values.items())


def summary(detail: RunDetail, reports: Sequence[GateReport]) -> str:
    """Returns the run and its gates' reports in Markdown. Names and messages stand in it as code, so that no mention,
    link or markup in them acts."""
    run = detail.run
    mark = "✅" if run.state is RunState.SUCCEEDED else "❌"
    lines = [f"## {mark} {_code(run.name)}: {run.state.value}", ""]
    lines += [f"{_code(run.message)}", ""] if run.message else []
    for report in reports:
        lines += _report(report)
    lines += ["| step | state | took | |", "|---|---|--:|---|"]
    lines += [_step(step) for step in detail.steps]
    text = "\n".join(lines) + "\n"
    if len(text.encode()) > MAX_SUMMARY_BYTES:
        cut = text.encode()[:MAX_SUMMARY_BYTES].decode("utf-8", "ignore")
        text = cut[: cut.rfind("\n") + 1] + "\nThe rest is left out.\n"
    return text


def _report(report: GateReport) -> list[str]:
    against = f" against v{report.champion}" if report.champion is not None else ""
    lines = [
        f"### Gate {_code(report.gate)}: {report.verdict.value}, {_code(report.model)} v{report.version}{against}",
        "",
        "| check | slice | verdict | value | champion | interval | limit |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    for check in report.checks:
        interval = f"{check.low:+.4g} to {check.high:+.4g}" if check.low is not None and check.high is not None else ""
        figures = (_figure(check.value), _figure(check.baseline), interval, _figure(check.limit))
        cells = (_code(check.name), _code(check.slice) if check.slice else "all", check.verdict.value, *figures)
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _step(step: Step) -> str:
    took = duration(step.ended - step.started) if step.started is not None and step.ended is not None else ""
    words = "unchanged" if step.cached else _code(step.message.splitlines()[0]) if step.message else ""
    return f"| {_code(step.name)} | {step.state.value} | {took} | {words} |"


def _code(text: str) -> str:
    """Returns text as code in Markdown, in a table too: nothing in it is markup, a mention or a link."""
    shown = one_line(text)[:_MAX_CELL].replace("`", "'").replace("|", "\\|").strip()
    return f"`{shown}`" if shown else ""


def failures(detail: RunDetail) -> list[tuple[str, str]]:
    """Returns what is to be annotated as an error: of each step that failed its name and why, else of the run."""
    found = [
        (step.name, step.message or f"exit code {step.exit_code}")
        for step in detail.steps
        if step.state is StepState.FAILED
    ]
    if found or detail.run.state is RunState.SUCCEEDED:
        return found
    return [(detail.run.name, detail.run.message or f"the run is {detail.run.state.value}")]
