"""Check runs of a GitHub App: the gate's report is the check run's page, over the forge, read back with PyGithub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import github
import pytest
from github.CheckRun import CheckRun
from github.Commit import Commit
from podium.core.demo.forge import Forge
from podium.core.domain.runs import RunState
from podium.core.domain.verdicts import CheckResult, GateReport, Verdict
from podium.core.hosting import statuses
from podium.core.hosting.sender import Sender
from podium.core.journal import Journal
from podium.core.scm.hosts import base
from podium.core.scm.hosts.opening import open_host

from tests.hosting.scene import Scene

REPO = "acme/flight-delay"
APP = "tell: {}, app: {id: 12345, installation: 4711, key_file: app.pem}, url: "
GATE = "podium/release/quality"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with Forge("github", tmp_path / "forge") as forge:
        forge.make_repo(REPO)
        yield forge


@pytest.fixture
def sha(forge: Forge) -> str:
    return forge.commit(REPO, "A better model", {"a.txt": "one\n"})


@pytest.fixture
def scene(forge: Forge, tmp_path: Path) -> Iterator[Scene]:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    scene = Scene(tmp_path / "home")
    key = scene.home / "app.pem"
    key.touch(mode=0o600)
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    config = scene.home / "podium.yaml"
    config.write_text(config.read_text().replace("tell: {}", f"{APP}'{forge.url}'"))
    scene.sender = Sender(open_host, clock=lambda: scene.now)
    yield scene
    scene.sender.close()


def commit(forge: Forge, sha: str) -> Commit:
    auth = github.Auth.Token(forge.token)
    client = github.Github(base_url=forge.api_url, auth=auth, retry=None, seconds_between_requests=0)
    return client.get_repo(REPO).get_commit(sha)


def checks(forge: Forge, sha: str) -> dict[str, CheckRun]:
    return {each.name: each for each in commit(forge, sha).get_check_runs()}


def contexts(forge: Forge, sha: str) -> dict[str, str]:
    return {each.context: each.state for each in commit(forge, sha).get_combined_status().statuses}


def troubles(journal: Journal) -> dict[str, str]:
    return {each.subject: each.words for each in journal.agent._troubles()}


def test_the_gates_report_is_the_page_of_its_check_run(scene: Scene, forge: Forge, sha: str) -> None:
    run = scene.run(sha)
    scene.send()
    found = checks(forge, sha)
    assert (found[GATE].status, found[GATE].conclusion) == ("in_progress", None)
    assert contexts(forge, sha) == {"podium/release": "pending"}, "the gate has its check run, and no status"
    scene.judge(run, Verdict.FAIL)
    scene.state(run, RunState.FAILED, "step gate failed")
    scene.send()
    found = checks(forge, sha)
    assert list(found) == [GATE]
    assert (found[GATE].status, found[GATE].conclusion) == ("completed", "failure")
    page = found[GATE].output.summary
    assert "| `roc_auc against champion` | 0.7100 | 0.7000 | +0.01 [-0.002, +0.02] |" in page
    assert f"`podium show {run.id}`" in page and found[GATE].output.title.startswith("fail: ")
    assert contexts(forge, sha) == {"podium/release": "failure"}
    told = len(forge.requests.matching("PATCH", "check-runs"))
    scene.journal.telling.run(run.id)
    scene.send()
    assert len(forge.requests.matching("PATCH", "check-runs")) == told, "told twice it changes nothing"


def test_a_gate_that_was_not_reached_does_not_wait_for_ever(scene: Scene, forge: Forge, sha: str) -> None:
    run = scene.run(sha)
    scene.send()
    scene.state(run, RunState.CANCELLED)
    scene.send()
    found = checks(forge, sha)[GATE]
    assert (found.status, found.conclusion) == ("completed", "neutral")
    assert "not judged" in found.output.title


def test_where_the_host_refuses_the_gate_has_a_status_and_it_is_said_once(scene: Scene, forge: Forge, sha: str) -> None:
    forge.faults.add(method="POST", path="/check-runs", status=403, body={"message": "Not accessible"}, count=None)
    run = scene.run(sha)
    scene.send()
    scene.judge(run)
    scene.state(run, RunState.SUCCEEDED)
    scene.send()
    assert contexts(forge, sha) == {"podium/release": "success", GATE: "success"} and checks(forge, sha) == {}
    words = troubles(scene.journal)["check runs"]
    assert "(403): Not accessible; gates are told with statuses" in words and "Checks: write" in words
    assert len(forge.requests.matching("POST", "/check-runs$")) == 1, "it is not asked again"
    # The permission was given: the next agent makes check runs, and what has a status keeps it up to date.
    forge.faults.clear()
    scene.sender.close()
    again = scene.run(sha)
    scene.judge(again, Verdict.FAIL)
    scene.send()
    assert checks(forge, sha)[GATE].conclusion == "failure" and contexts(forge, sha)[GATE] == "failure"
    assert troubles(scene.journal) == {}


@pytest.mark.parametrize("why", ["an hour has passed", "the token is another one"])
def test_check_runs_are_tried_again(
    scene: Scene, forge: Forge, sha: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge.faults.add(method="POST", path="/check-runs", status=403, body={"message": "Not accessible"}, count=None)
    run = scene.run(sha)
    scene.send()
    forge.faults.clear()
    scene.judge(run)
    scene.send()
    assert checks(forge, sha) == {} and "tried again in an hour" in troubles(scene.journal)["check runs"]
    if why == "an hour has passed":
        now = base.clock()
        monkeypatch.setattr(base, "clock", lambda: now + base.AGAIN_AFTER)
    else:  # as when the App was given the right: a token keeps those that it was made with
        for token in [each for each in forge.state.tokens.values() if each.app]:
            del forge.state.tokens[token.value]
    scene.state(run, RunState.SUCCEEDED)
    scene.send()
    if why != "an hour has passed":  # the refused token was found out by this message, and the next has the new one
        scene.journal.telling.run(run.id)
        scene.send()
    assert checks(forge, sha)[GATE].conclusion == "success" and troubles(scene.journal) == {}


def test_a_page_is_cut_at_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = tuple(
        CheckResult(f"check {each}", Verdict.FAIL, "@mallory " * 40, 0.5, 0.6, -0.1, 0.1, slice=f"s{each} " + "x" * 160)
        for each in range(40)
    )
    metrics = {f"{each} {'a' * 150}": 0.5 for each in range(40)}
    report = GateReport("quality", "m", 7, 6, Verdict.FAIL, checks, 0.0, 12, "d", 10, metrics)
    whole = statuses.summary(report, 12, ())
    for limit in (200, 3_000, len(whole) // 2):
        monkeypatch.setattr(statuses, "MAX_SUMMARY", limit)
        page = statuses.summary(report, 12, ())
        assert len(page) <= limit + 60 and page.endswith("More: `podium show 12`\n") and "…" in page
        assert page.count("`") % 2 == 0 and page.count("<details>") == page.count("</details>")
    assert whole.endswith("More: `podium show 12`\n")
