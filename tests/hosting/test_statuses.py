"""What a Git host is told of runs: what holds at the end is what it shows, whatever order and faults there were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from podium.core.domain.hosts import CommitStatus, HostFeature, RateLimit, StatusState
from podium.core.domain.outbox import MessageState
from podium.core.domain.runs import RunState, StepState, Trigger
from podium.core.domain.verdicts import Verdict
from podium.core.errors import Refused, Unreachable
from podium.core.hosting.statuses import of_run
from podium.core.journal.outbox import LEASE_SECONDS

from tests.hosting.scene import SHA, Scene

OTHER = "f" * 40


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_run_goes_from_pending_to_its_result_and_each_gate_with_it(scene: Scene) -> None:
    run = scene.run()
    scene.send()
    assert scene.words() == {"podium/release": "pending", "podium/release/quality": "pending"}
    scene.state(run, RunState.RUNNING)
    scene.judge(run)
    scene.send()
    assert scene.words() == {"podium/release": "pending", "podium/release/quality": "success"}
    scene.state(run, RunState.SUCCEEDED)
    scene.send()
    assert scene.words() == {"podium/release": "success", "podium/release/quality": "success"}
    said = scene.statuses()
    assert said["podium/release"].description == f"2 steps succeeded · podium show {run.id}"
    assert "flights version 7 against champion 6" in said["podium/release/quality"].description
    asked = list(scene.host.asked)
    scene.send()
    assert scene.host.asked == asked, "what was told is not told again"


@pytest.mark.parametrize(
    ("verdict", "word"),
    [(Verdict.FAIL, "failure"), (Verdict.INCONCLUSIVE, "failure"), (Verdict.ERROR, "error")],
)
def test_a_gate_that_does_not_pass_says_why(scene: Scene, verdict: Verdict, word: str) -> None:
    run = scene.run()
    scene.judge(run, verdict)
    scene.state(run, RunState.FAILED, "step gate failed")
    scene.send()
    assert scene.words() == {"podium/release": "failure", "podium/release/quality": word}
    said = scene.statuses()["podium/release/quality"].description
    assert said.startswith(f"{verdict}: roc_auc against champion: what was found")


@pytest.mark.parametrize(
    ("state", "word", "more"),
    [
        (RunState.WAITING, "pending", "podium approve 1"),
        (RunState.CANCELLED, "error", "podium show 1"),
        (RunState.INTERRUPTED, "error", "podium resume 1"),
    ],
)
def test_the_description_names_the_command_that_helps(scene: Scene, state: RunState, word: str, more: str) -> None:
    scene.state(scene.run(), state, "because of " + "x" * 300)
    scene.send()
    said = scene.statuses()["podium/release"]
    assert (str(said.state), said.description.endswith(more)) == (word, True)
    assert len(said.description) <= 140


def test_a_gate_that_was_not_reached_does_not_wait_for_ever(scene: Scene) -> None:
    run = scene.run()
    scene.send()
    scene.journal.steps.update(run.id, "gate", state=StepState.SKIPPED)
    scene.state(run, RunState.FAILED, "step candidate failed")
    scene.send()
    assert scene.words()["podium/release/quality"] == "error"
    assert scene.statuses()["podium/release/quality"].description.startswith("not judged: ")


def test_a_gate_that_the_commit_calls_otherwise_is_ended_too(scene: Scene) -> None:
    """podium.yaml of now named the gate while it was waited for; the commit's own file had another name."""
    run = scene.run()
    scene.send()
    scene.journal.steps.update(run.id, "gate", state=StepState.SUCCEEDED, results={"gate": "old", "verdict": "pass"})
    scene.state(run, RunState.SUCCEEDED)
    scene.send()
    assert scene.words() == {
        "podium/release": "success", "podium/release/old": "success", "podium/release/quality": "error",
    }  # fmt: skip


def test_what_is_written_meanwhile_by_a_slow_sender_does_not_stay(scene: Scene) -> None:
    """The run ends while `pending` is on its way: what is told last is what holds."""
    run = scene.run()
    ends: list[Callable[[], None]] = [lambda: scene.state(run, RunState.SUCCEEDED)]

    def meanwhile(call: str) -> bool:
        if call == "set_status" and ends:
            ends.pop()()
        return False

    scene.host.failing = meanwhile
    scene.send()
    assert scene.words()["podium/release"] == "success"
    assert [word for _, context, word in scene.host.history() if context == "podium/release"] == ["pending", "success"]


def test_a_sender_that_comes_too_late_puts_right_what_it_wrote(scene: Scene) -> None:
    """It took a message up, was stopped for longer than its lease, and another one has told everything since."""
    run = scene.run()
    message = scene.journal.outbox.claim()
    assert message is not None
    scene.state(run, RunState.SUCCEEDED)
    scene.later(LEASE_SECONDS + 1)
    scene.send()
    scene.host.set_status(SHA, CommitStatus("podium/release", StatusState.PENDING, "queued"))
    wanted = of_run(scene.project, scene.journal, message.body["run"])
    assert wanted is not None
    assert [each.state for each in wanted.changes(scene.host.statuses(SHA))] == [StatusState.SUCCESS]


def test_a_message_of_an_older_run_tells_of_the_newest(scene: Scene) -> None:
    older = scene.run()
    newer = scene.run()
    scene.state(newer, RunState.SUCCEEDED)
    scene.send()
    scene.state(older, RunState.FAILED, "much later")
    scene.send()
    assert scene.words()["podium/release"] == "success"


def test_runs_that_say_nothing_about_a_commit_are_not_told(scene: Scene) -> None:
    scene.run(dirty=True)
    scene.run(sha="")
    scene.journal.runs.create(kind="promote", name="production", trigger=Trigger.PERSON, who="mia", commit=SHA)
    assert scene.journal.outbox.list() == []


def test_the_commit_of_a_working_tree_is_told_once_it_is_known(scene: Scene) -> None:
    run = scene.run(sha="")
    scene.journal.runs.set_commit(run.id, SHA, branch="main")
    scene.send()
    assert scene.words()["podium/release"] == "pending"


def test_changes_of_a_run_that_waits_to_be_told_are_one_message(scene: Scene) -> None:
    run = scene.run()
    for _ in range(5):
        scene.state(run, RunState.RUNNING)
    assert len(scene.journal.outbox.list(MessageState.WAITING)) == 1
    scene.state(run, RunState.SUCCEEDED)
    assert sorted(each.kind for each in scene.journal.outbox.list(MessageState.WAITING)) == ["comment", "status"]


def test_what_is_not_committed_is_not_told(scene: Scene) -> None:
    run = scene.run()
    scene.send()

    class Undone(Exception):
        pass

    with pytest.raises(Undone), scene.journal.transaction():
        scene.state(run, RunState.SUCCEEDED)
        raise Undone
    assert scene.waiting() == []


def test_a_host_that_is_down_is_asked_once_a_round_and_told_later(scene: Scene) -> None:
    runs = [scene.run(f"{number:040x}") for number in range(5)]
    scene.host.failing = lambda _: True
    with pytest.raises(Unreachable):
        scene.send()
    assert len(scene.host.asked) == 1, "the others are not tried against a host that does not answer"
    for run in runs:
        scene.state(run, RunState.SUCCEEDED)
    scene.host.failing = lambda _: False
    scene.later()
    scene.send()
    assert all(scene.words(run.commit)["podium/release"] == "success" for run in runs)


def test_a_host_that_wants_to_be_left_alone_is(scene: Scene) -> None:
    scene.run()
    scene.host.failing = lambda _: True
    with pytest.raises(Unreachable):
        scene.send()
    scene.host.rate = RateLimit(not_before=4e9)
    (message,) = scene.journal.outbox.list()
    for _ in range(3):
        scene.later()
        with pytest.raises(Unreachable):
            scene.send()
    assert len(scene.host.asked) == 1
    assert scene.journal.outbox.get(message.id).attempts == 1, "nothing was tried"
    scene.host.rate, scene.host.failing = RateLimit(), lambda _: False
    scene.send()
    assert scene.words()["podium/release"] == "pending"


def test_a_commit_that_nobody_has_pushed_holds_nobody_up(scene: Scene) -> None:
    scene.host.commits = {OTHER}
    scene.run(SHA)
    scene.run(OTHER)
    scene.send()
    assert scene.words(OTHER)["podium/release"] == "pending"
    assert scene.waiting() == [f"git:github.com/acme/flight-delay commit {SHA}"]
    scene.host.commits.add(SHA)
    scene.later()
    scene.send()
    assert scene.words(SHA)["podium/release"] == "pending"


def test_a_token_that_may_not_is_found_out_after_a_few_refusals(scene: Scene) -> None:
    for number in range(9):
        scene.run(f"{number:040x}")

    def refuse(_: str) -> bool:
        raise Refused("the token may not write statuses")

    scene.host.failing = refuse
    with pytest.raises(Refused, match="may not write"):
        scene.send()
    assert len(scene.host.asked) == 3
    scene.host.failing = lambda _: False
    scene.later()
    scene.send()
    assert all(scene.words(f"{number:040x}") for number in range(9)), "nothing was given up"


def test_a_quarantined_commit_says_so_until_it_is_lifted(scene: Scene) -> None:
    scene.journal.quarantine.add("flights", 4, SHA, "mia", "it doubled the errors")
    scene.send()
    said = scene.statuses()["podium/quarantine"]
    assert said.state is StatusState.FAILURE
    assert said.description == "version 4 is quarantined: it doubled the errors · podium quarantine lift 4"
    scene.journal.quarantine.lift("flights", 4, "mia")
    scene.send()
    assert scene.words()["podium/quarantine"] == "success"


def test_secrets_are_masked_and_text_is_one_harmless_line(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST_TOKEN", "hush-hush-hush")
    run = scene.run()
    text = (scene.home / "podium.yaml").read_text().replace("repo: acme", "token: '${HOST_TOKEN}', repo: acme")
    (scene.home / "podium.yaml").write_text(text)
    scene.state(run, RunState.FAILED, "hush-hush-hush \x1b[31mred\x1b[0m\nand more")
    scene.send()
    said = scene.statuses()["podium/release"].description
    assert said == f"*** red and more · podium show {run.id}"


def test_without_a_host_nothing_is_noted_and_with_one_what_holds_is_told(tmp_path: Path) -> None:
    scene = Scene(tmp_path, tell="statuses: false, deployments: false, comment: false")
    run = scene.run()
    scene.state(run, RunState.SUCCEEDED)
    scene.deploy(7)
    assert scene.journal.outbox.list() == []
    text = (scene.home / "podium.yaml").read_text().replace("statuses: false, deployments: false", "statuses: true")
    (scene.home / "podium.yaml").write_text(text)
    scene.send()
    assert scene.words()["podium/release"] == "success"
    assert len(scene.host.deployments()) == 1


def test_another_host_is_told_what_holds_and_not_what_waited_for_the_first(scene: Scene) -> None:
    scene.run()
    (scene.home / "podium.yaml").write_text((scene.home / "podium.yaml").read_text().replace("acme/", "other/"))
    scene.send()
    given_up = scene.journal.outbox.list(MessageState.FAILED)
    assert [each.error for each in given_up] == ["what is told is told to github.com/other/flight-delay by now"]
    assert scene.words()["podium/release"] == "pending"


def test_what_a_host_cannot_is_left_out(scene: Scene) -> None:
    scene.host.missing = {
        HostFeature.STATUSES: "this host has no commit statuses",
        HostFeature.PULL_REQUESTS: "nor these",
    }
    scene.run()
    scene.send()
    assert scene.host.asked == []
    assert scene.waiting() == []
