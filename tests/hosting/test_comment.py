"""The comment on a pull request: one, found by its label, and nothing that it shows acts on the host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.core.domain.containers import Image
from podium.core.domain.hosts import HostFeature, RateLimit
from podium.core.domain.runs import RunState
from podium.core.domain.verdicts import CheckResult, Verdict
from podium.core.errors import Refused, Unreachable
from podium.core.hosting.comment import CHART_WIDTH, Comparison, chart, label, written
from podium.core.hosting.markdown import code

from tests.hosting.scene import SHA, Scene

NEWER = "a" * 40


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path)
    scene.host.open_request(12, SHA)
    return scene


def bodies(scene: Scene, number: int = 12) -> list[str]:
    return [each.body for each in scene.host.comments(number)]


def test_the_comparison_is_one_comment_and_is_kept_up_to_date(scene: Scene) -> None:
    run = scene.run()
    scene.send()
    assert bodies(scene) == [], "nothing has been compared yet"
    scene.judge(run)
    scene.send()
    (body,) = bodies(scene)
    assert body.splitlines()[0] == label("flights", "release")
    assert "✅ pass" in body
    assert "| `roc_auc against champion` | 0.7100 | 0.7000 | +0.01 [-0.002, +0.02] |" in body
    scene.host.open_request(12, NEWER)
    again = scene.run(NEWER)
    scene.judge(again, Verdict.FAIL)
    scene.state(again, RunState.FAILED, "step gate failed")
    scene.send()
    (body,) = bodies(scene)
    assert "❌ fail" in body
    assert "`aaaaaaa" in body


def test_a_run_that_fails_before_its_gate_changes_the_comment_that_is_there(scene: Scene) -> None:
    scene.judge(scene.run())
    scene.send()
    again = scene.run()
    scene.state(again, RunState.FAILED, "step candidate failed")
    scene.send()
    (body,) = bodies(scene)
    assert "the run was failed" in body
    assert "`step candidate failed`" in body


def test_it_has_slices_checks_of_the_data_latency_metrics_and_the_image(scene: Scene) -> None:
    run = scene.run()
    scene.journal.images.put(
        Image("flights", 7, "local", "sha256:1", "flights:7", 0.0, "sha256:" + "b" * 64, "flights:7", size=300_000_000)
    )
    checks = (
        CheckResult("roc_auc against champion", Verdict.PASS, "fine", 0.71, 0.70, -0.002, 0.02, rows=1000),
        CheckResult("roc_auc ≥ 0.6", Verdict.PASS, "0.5900", 0.66, limit=0.6, rows=80, slice="origin = JFK"),
        CheckResult("roc_auc ≥ 0.6", Verdict.FAIL, "0.5900", 0.59, limit=0.6, rows=90, slice="origin = LGA"),
        CheckResult("latency p95 ≤ 50 ms", Verdict.PASS, "12 ms of 200 requests", 0.012, limit=0.05),
        CheckResult("schema unchanged", Verdict.PASS, "same 9 columns"),
    )  # fmt: skip
    scene.judge(run, Verdict.FAIL, checks=checks)
    scene.send()
    (body,) = bodies(scene)
    assert "2 slices, 1 not passed" in body
    assert body.index("origin = LGA") < body.index("origin = JFK"), "the worst first"
    for part in (
        "| `12 ms of 200 requests` |",
        "| `same 9 columns` |",
        "| `flights:7` | 300 MB |",
        "| `roc_auc` | 0.7100 |",
    ):
        assert part in body, body


def test_a_copy_of_our_comment_by_somebody_else_is_theirs(scene: Scene) -> None:
    scene.host.comment_as("mallory", 12, label("flights", "release") + "\nmine")
    scene.judge(scene.run())
    scene.send()
    assert bodies(scene)[0].endswith("\nmine")
    assert len(bodies(scene)) == 2
    scene.judge(scene.run())
    scene.send()
    assert len(bodies(scene)) == 2


def test_it_is_found_by_its_label_when_the_journal_is_lost(scene: Scene, tmp_path: Path) -> None:
    scene.judge(scene.run())
    scene.send()
    (scene.home / "podium.yaml").touch()
    again = Scene(tmp_path / "again")
    again.host = scene.host
    again.judge(again.run(), Verdict.FAIL)
    again.send()
    (body,) = bodies(scene)
    assert "❌ fail" in body


def test_an_app_has_no_account_and_finds_its_comment(scene: Scene) -> None:
    def no_account() -> None:
        raise Refused("an app has no account")

    scene.host.account = no_account  # type: ignore[method-assign,assignment]
    scene.host._login = "podium[bot]"
    scene.host.comment_as("mallory", 12, label("flights", "release"))
    scene.judge(scene.run())
    scene.send()
    scene.judge(scene.run())
    scene.send()
    assert len(bodies(scene)) == 2


def test_a_line_that_is_cut_after_the_comment_was_made_makes_no_second_one(scene: Scene) -> None:
    scene.judge(scene.run())
    scene.host.failing, scene.host.late = (lambda call: call == "create_comment"), (lambda: True)
    with pytest.raises(Unreachable):
        scene.send()
    scene.host.failing = lambda _: False
    scene.later()
    scene.send()
    assert len(bodies(scene)) == 1


def test_only_the_request_whose_newest_commit_was_run_gets_it(scene: Scene) -> None:
    scene.host.open_request(13, NEWER)
    scene.judge(scene.run())
    scene.send()
    assert (len(bodies(scene, 12)), bodies(scene, 13)) == (1, [])
    scene.host.open_request(12, NEWER)
    old = bodies(scene)
    scene.judge(scene.run(), Verdict.FAIL)
    scene.send()
    assert bodies(scene) == old, "the request has moved on since"


def test_a_request_that_is_opened_after_the_run_gets_the_comment_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    run = scene.run()
    scene.judge(run)
    scene.state(run, RunState.SUCCEEDED)
    scene.send()
    scene.host.open_request(12, SHA)
    for _ in range(3):
        scene.later()
        scene.send()
    (body,) = bodies(scene)
    assert "✅ pass" in body and scene.host.asked.count("create_comment") == 1
    before = scene.host.asked.count("comments")
    scene.later()
    scene.send()
    assert scene.host.asked.count("comments") == before, "one that was seen is not looked at again"
    scene.judge(scene.run(), Verdict.FAIL)
    scene.send()
    (body,) = bodies(scene)
    assert "❌ fail" in body, "and then it is kept up to date as any other"


def test_requests_are_asked_for_as_often_as_the_host_is(scene: Scene) -> None:
    for _ in range(5):
        scene.send()
    assert scene.host.asked.count("pull_requests") == 1
    scene.later(scene.project.git.poll)
    scene.send()
    assert scene.host.asked.count("pull_requests") == 2


def test_a_host_that_answers_little_is_asked_less_often(scene: Scene) -> None:
    scene.host.rate = RateLimit(limit=60)
    for _ in range(11):
        scene.send()
        scene.later(61)
    assert scene.host.asked.count("pull_requests") == 2, "once in ten minutes, without a token"


def test_who_may_not_see_requests_is_left_alone_for_a_while(scene: Scene) -> None:
    def refused() -> None:
        raise Refused("Pull requests: read is missing")

    scene.host.pull_requests = refused  # type: ignore[method-assign,assignment]
    scene.send()
    del scene.host.pull_requests  # type: ignore[method-assign]
    scene.later(60)
    scene.send()
    assert "pull_requests" not in scene.host.asked
    scene.later(600)
    scene.send()
    assert "pull_requests" in scene.host.asked


def test_a_host_without_pull_requests_is_not_asked(scene: Scene) -> None:
    scene.host.missing = {HostFeature.PULL_REQUESTS: "a bare repository has none"}
    scene.judge(scene.run())
    scene.send()
    assert "pull_requests" not in scene.host.asked
    assert scene.waiting() == []


# -- the chart


def test_the_chart_shows_where_an_interval_lies() -> None:
    assert chart(-1.0, 1.0, 1.0) == "`" + "━" * 10 + "┿" + "━" * 10 + "`"
    assert chart(0.5, 1.0, 1.0) == "`" + "·" * 10 + "│" + "·" * 4 + "━" * 6 + "`"
    assert chart(None, 1.0, 1.0) == chart(0.0, 0.0, 0.0) == chart(float("nan"), 1.0, 1.0) == ""


@given(st.floats(allow_nan=True), st.floats(allow_nan=True), st.floats(min_value=0, allow_infinity=False))
def test_whatever_the_numbers_it_has_its_width(low: float, high: float, reach: float) -> None:
    assert len(chart(min(low, high), max(low, high), reach)) in (0, CHART_WIDTH + 2)


# -- text from outside

NASTY = st.lists(
    st.sampled_from(
        [
            "@mallory", "@acme/team", "#12", "acme/repo#3", "GH-4", "!5", "/merge", "/close", "\n", "\r\n", "\u2028", "|", "`", "``",
            "```\n", "\\", "\\|", "\\`", "<img src=https://evil.example/x>", "<!--", "-->", "<script>", "</details>", "[a](https://evil)",
            "![a](https://evil)", "https://evil.example", "www.evil.example", "mia@example.com", "$`a`$", "~label", "%milestone", "&amp;",
            "&#64;mallory", "\x1b[31m", "\x00", "\ud800", "\u202e", "\u200b", "＠mallory", " ", "x", "---", "# head", "- [ ] task", "@",
        ]
    ),
    max_size=12,
).map("".join)  # fmt: skip
ANY = NASTY | st.text(max_size=200)


def outside_of_spans(line: str) -> str:
    """Returns a line without its code spans: what a host looks at."""
    assert line.count("`") % 2 == 0, line
    return re.sub(r"`[^`]+`", "", line)


@given(ANY)
def test_a_code_span_holds_any_text_on_one_line(text: str) -> None:
    span = code(text)
    assert span == "" or re.fullmatch(r"`[^`|\r\n]+`", span)
    assert not re.search(r"[@＠]\w", span)
    assert not span.startswith("`/m")
    span.encode()


@given(ANY, ANY, ANY, ANY, ANY)
def test_nothing_from_outside_acts_in_a_comment(one: str, two: str, three: str, four: str, five: str) -> None:
    from dataclasses import replace

    from podium.core.domain.runs import Run, Trigger
    from podium.core.domain.verdicts import GateReport

    run = Run(12, "pipeline", one or "p", RunState.FAILED, Trigger.PUSH, two, 0.0, commit=SHA, message=three)
    checks = (
        CheckResult(one, Verdict.FAIL, two, 0.5, 0.6, -0.2, float("inf"), slice=three),
        CheckResult(four, Verdict.PASS, five),
        CheckResult(five, Verdict.ERROR, one, 0.5, limit=0.1),
    )
    report = GateReport(two, three, 7, 6, Verdict.FAIL, checks, 0.0, 12, four, 10, {five: 0.5})
    image = Image(three, 7, one, "id", two, 0.0, four, five, size=1)
    body = written(Comparison(one, run, (report, replace(report, gate=five)), (image,)))
    head, *lines = body.splitlines()
    assert re.fullmatch(r"<!-- podium-comparison [\w%.~-]* [\w%.~-]+ -->", head)
    plain = written(Comparison("p", replace(run, name="p", message="x"), ())).splitlines()
    assert len(lines) >= len(plain) - 3
    for line in lines:
        bare = outside_of_spans(line)
        assert not re.search(r"@|#\d|!\d|https?:|www\.|\$|\\|&|~|%\w|\[[^\]]*\]\(", bare), line
        assert not re.match(r"\s*/", line), line
        assert re.sub(r"</?details>|</?summary>", "", bare).find("<") == -1, line
        assert "\u202e" not in line
    for row in (line for line in lines if line.startswith("|")):
        assert row.count("|") in (3, 4, 5, 6, 7, 8), row
