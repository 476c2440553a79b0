"""What a CI job prints and writes: in each host's words, and nothing from outside acts in them."""

from __future__ import annotations

import re

import pytest
from podium.core.cockpit.ci_job import (
    MAX_SUMMARY_BYTES,
    Job,
    JobKind,
    annotation,
    failures,
    group,
    job_of,
    outputs,
    summary,
    written_outputs,
)
from podium.core.domain.runs import PIPELINE, Run, RunDetail, RunState, Step, StepState, Trigger
from podium.core.domain.verdicts import CheckResult, GateReport, Verdict

HOSTILE = (
    "::error::stolen",
    "##[error]stolen",
    "::stop-commands::x",
    "::endgroup::",
    "::set-output name=x::y",
    "\x1b[0Ksection_end:1:podium\r\x1b[0K",
    "section_start:1:mine\r\x1b[0Kmine",
    "progress\r::warning::x",
    "  ::add-mask::x",
)
GITHUB, GITLAB = Job(JobKind.GITHUB), Job(JobKind.GITLAB)


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({"GITHUB_ACTIONS": "true"}, JobKind.GITHUB),
        ({"GITHUB_ACTIONS": "true", "GITEA_ACTIONS": "true"}, JobKind.GITEA),
        ({"GITHUB_ACTIONS": "true", "FORGEJO_ACTIONS": "true"}, JobKind.GITEA),
        ({"GITLAB_CI": "true", "CI_PIPELINE_URL": "https://lab/p/1"}, JobKind.GITLAB),
        ({"CI": "true", "GITHUB_ACTIONS": "false"}, JobKind.PLAIN),
        ({}, JobKind.PLAIN),
    ],
)
def test_the_host_is_told_by_its_variables(environment: dict[str, str], kind: JobKind) -> None:
    assert job_of(environment).kind is kind


def test_files_and_pages_are_those_that_the_host_names() -> None:
    job = job_of(
        {
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": "/s",
            "GITHUB_OUTPUT": "/o",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": "acme/x",
            "GITHUB_RUN_ID": "7",
        }
    )
    assert (job.summary, job.outputs) == ("/s", "/o")
    assert job.why == "CI run https://github.com/acme/x/actions/runs/7"
    assert job_of({}).why == ""


@pytest.mark.parametrize("kind", [JobKind.GITHUB, JobKind.GITEA])
def test_no_line_of_a_step_is_a_command_of_the_host(kind: JobKind) -> None:
    lines = list(group(Job(kind), "train[a=1]: failed", HOSTILE))
    assert lines[0] == "::group::train[a=1]: failed" and lines[-1] == "::endgroup::"
    stop = re.fullmatch(r"::stop-commands::([0-9a-f]{40})", lines[1])
    assert stop and lines[-2] == f"::{stop[1]}::"
    inner = lines[2:-2]
    assert len(inner) == len(HOSTILE) and all(line.startswith("| ") for line in inner)
    assert all(stop[1] not in line and "\r" not in line and "\n" not in line for line in inner)
    again = list(group(Job(kind), "x", ()))[1]
    assert again != lines[1], "the word is another one each time"


def test_no_line_of_a_step_ends_a_section_of_gitlab() -> None:
    begin, *inner, end = list(group(GITLAB, "train\x1b[2J", HOSTILE, at=1000.0))
    found = re.fullmatch(r"\x1b\[0Ksection_start:1000:(podium_\w+)\[collapsed=true\]\r\x1b\[0Ktrain", begin)
    assert found and end == f"\x1b[0Ksection_end:1000:{found[1]}\r\x1b[0K"
    assert not any("\x1b" in line or "\r" in line for line in inner)
    plain = list(group(Job(JobKind.PLAIN), "train", ["out"]))
    assert plain == ["=== train", "| out", ""]


def test_annotations_are_escaped() -> None:
    text = annotation(GITHUB, "error", "a,b:c\n::x", "100%\r\n::error::y", file="a b,c.py", line=3)
    assert text == "::error file=a b%2Cc.py,line=3,title=a%2Cb%3Ac %3A%3Ax::100%25%0A::error::y"
    assert "\n" not in text
    assert annotation(Job(JobKind.PLAIN), "error", "train", "x\ny") == "ERROR: train: x y"
    assert annotation(GITLAB, "error", "train", "x\x1b[2J") == "\x1b[31;1mERROR: train: x\x1b[0m"


def detail(state: RunState, *steps: Step, message: str = "") -> RunDetail:
    return RunDetail(
        Run(12, PIPELINE, "release", state, Trigger.PERSON, "ci", 0.0, commit="c" * 40, message=message), steps
    )


REPORT = GateReport(
    "quality",
    "flight|delay",
    4,
    3,
    Verdict.FAIL,
    (CheckResult("roc_auc", Verdict.FAIL, "", 0.61, 0.65, -0.06, -0.02, 0.6, slice="carrier=`@anna`|<b>"),),
    0.0,
)


def test_the_summary_has_the_gates_report_and_nothing_in_it_acts() -> None:
    step = Step(12, "gate", 0, StepState.FAILED, message="@acme/all see https://evil.example `x` | <img src=x>\nmore")
    text = summary(detail(RunState.FAILED, step, message="gate `quality`"), [REPORT])
    assert "## ❌ `release`: failed" in text
    assert "Gate `quality`: fail, `flight\\|delay` v4 against v3" in text
    assert "| `roc_auc` | `carrier='@anna'\\|<b>` | fail | 0.61 | 0.65 | -0.06 to -0.02 | 0.6 |" in text
    outside = re.sub(r"`[^`]*`", "", text)
    assert "@" not in outside and "http" not in outside and "<" not in outside
    huge = summary(detail(RunState.FAILED, *[Step(12, f"s{n}" * 90, n, StepState.FAILED) for n in range(9000)]), [])
    assert MAX_SUMMARY_BYTES - 1000 < len(huge.encode()) < MAX_SUMMARY_BYTES + 100
    assert huge.endswith("The rest is left out.\n")


def test_outputs_are_names_and_values_whatever_is_in_them() -> None:
    step = Step(12, "candidate", 0, StepState.SUCCEEDED, results={"version": 4, "model": "a\nevil=1"})
    values = outputs(detail(RunState.SUCCEEDED, step), [REPORT])
    assert values == {
        "run": "12",
        "state": "succeeded",
        "commit": "c" * 40,
        "model": "a\nevil=1",
        "version": "4",
        "verdict": "fail",
    }
    lines = written_outputs(GITHUB, values).splitlines()
    assert [line.split("<<")[0] for line in lines[::3]] == list(values)
    assert all(first.split("<<")[1] == last for first, last in zip(lines[::3], lines[2::3], strict=True))
    assert lines[10] == "a evil=1"
    dotenv = written_outputs(GITLAB, values).splitlines()
    assert "PODIUM_MODEL=a_evil_1" in dotenv and "PODIUM_VERSION=4" in dotenv and len(dotenv) == len(values)


def test_what_failed_is_told_of_each_step() -> None:
    steps = (Step(1, "fine", 0, StepState.SUCCEEDED), Step(1, "broken", 1, StepState.FAILED, exit_code=7))
    assert failures(detail(RunState.FAILED, *steps)) == [("broken", "exit code 7")]
    assert failures(detail(RunState.INTERRUPTED)) == [("release", "the run is interrupted")]
    assert failures(detail(RunState.SUCCEEDED)) == []
