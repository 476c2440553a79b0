"""What protects is read from the branch that releases come from, never from the commit that is being judged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.config.loading import from_text
from podium.core.domain.project import Approvers, Project
from podium.core.domain.runs import Run, RunState, StepState
from podium.core.engine.run.trust import of_another_branch, of_release_branch
from podium.core.triggers.pushes import Pushes

from tests.engine.lab import Lab

FILE = """
project: p
env: {WHO: main}
git: {branch: main}
mlflow: {model: ours}
gates:
  quality:
    data: holdout.csv
    target: y
    checks:
      - {metric: accuracy, at_least: 0.9}
environments:
  production: {port: 5100, protected: true, replicas: 2}
  staging: {port: 5200}
pipelines:
  release:
    params: {where: production}
    steps:
      gate: {uses: gate, gate: quality, version: 1}
      ship: {uses: promote, environment: production, version: 1, needs: [gate], approval: required, approval_timeout: 1h}
      try: {uses: deploy, environment: staging, version: 1}
      look: {run: "true"}
"""


def read(text: str) -> Project:
    return from_text(text, "podium.yaml", Path("/p"), Path("/p"), {})


def changed(*replacements: tuple[str, str]) -> Project:
    text = FILE
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    return read(text)


TRUSTED = read(FILE)
NO_APPROVAL = (", approval: required, approval_timeout: 1h", "")


def test_a_file_that_weakens_nothing_stays_what_it_is() -> None:
    own = changed(("replicas: 2", "replicas: 3"), ("at_least: 0.9", "at_least: 0.9"))
    judged = of_release_branch(own, [TRUSTED])
    assert judged.project == own and judged.weakened == ()


OPENED = """
project: p
environments:
  production:
    port: 5100
    bind: 0.0.0.0
    tls: {certificate: c.pem, key: k.pem, host: models.example.com}
    auth: {client_ca: ca.pem, clients: [billing]}
    limits: {rate: 10/s, connections: 5}
    redact: [email, name]
    feedback: {tokens: {crm: a-long-token-of-the-crm}}
  inside: {port: 5200}
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (", clients: [billing]", ", clients: [billing, eve]", "lets in other clients"),
        (", clients: [billing]", "", "lets in other clients"),
        ("auth: {client_ca: ca.pem", "auth: {client_ca: theirs.pem", "lets in other clients"),
        ("auth: {client_ca: ca.pem, clients: [billing]}", "auth: tokens", "lets in other clients"),
        ("rate: 10/s", "rate: 11/s", "has no limit of 10 for a client's rate any more"),
        ("{rate: 10/s, connections: 5}", "{rate: 10/s}", "has no limit of 5 for a client's connections any more"),
        ("redact: [email, name]", "redact: [name]", "keeps columns of requests that were left out: email"),
        ("    feedback: {tokens: {crm: a-long-token-of-the-crm}}\n", "", "takes labels from everybody"),
    ],
)
def test_the_commit_that_lets_in_others_does_not_for_its_own_run(old: str, new: str, words: str) -> None:
    assert old in OPENED
    trusted = read(OPENED)
    judged = of_release_branch(read(OPENED.replace(old, new)), [trusted])
    assert judged.weakened == (f"environment production {words}",)
    now, before = judged.project.environments["production"], trusted.environments["production"]
    assert (now.https, now.auth, now.limits, now.feedback) == (
        before.https,
        before.auth,
        before.limits,
        before.feedback,
    )
    assert set(now.redact) == set(before.redact)
    # The other way round it is stricter, and holds at once.
    stricter = of_release_branch(trusted, [read(OPENED.replace(old, new))])
    assert stricter.project == trusted or "clients" in words


def test_a_commit_opens_an_environment_from_the_next_one_on() -> None:
    opened = OPENED.replace("auth: {client_ca: ca.pem, clients: [billing]}", "auth: tokens")
    trusted = read(opened)
    tls = "    tls: {certificate: c.pem, key: k.pem, host: models.example.com}\n"
    dropped = of_release_branch(read(opened.replace(tls, "    open: true\n")), [trusted])
    assert dropped.project.environments["production"] == trusted.environments["production"]
    assert dropped.weakened == (
        "environment production has no TLS any more",
        "environment production is open to everybody",
    )
    inside = opened.replace("{port: 5200}", "{port: 5200, bind: 0.0.0.0, open: true}")
    judged = of_release_branch(read(inside), [trusted])
    assert judged.project.environments["inside"] == trusted.environments["inside"]
    assert judged.weakened == ("environment inside is open to everybody",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("protected: true, ", ""), "environment production is not protected any more"),
        (NO_APPROVAL, "step ship of release needs no approval any more"),
        (("at_least: 0.9", "at_least: 0.1"), "gate quality has other checks"),
        (
            ("version: 1, needs: [gate]", 'version: 1, force: "I say so"'),
            "step ship of release is forced past its gate",
        ),
    ],
)
def test_a_commit_of_the_release_branch_weakens_nothing_for_itself(change: tuple[str, str], words: str) -> None:
    judged = of_release_branch(changed(change), [TRUSTED])
    assert judged.weakened == (words,)
    project = judged.project
    ship = project.pipelines["release"].steps["ship"]
    assert project.environments["production"].protected
    assert (ship.approval, ship.approval_timeout) == (True, 3600.0)
    assert "force" not in ship.options
    assert 0.9 in [check.at_least for check in project.gates["quality"].checks]


def test_who_approves_is_not_the_commits_to_say() -> None:
    trusted = changed(("approval: required,", "approval: required, approvers: {number: 2, author: false},"))
    judged = of_release_branch(TRUSTED, [trusted])
    assert judged.weakened == ("step ship of release may be approved by others",)
    assert judged.project.pipelines["release"].steps["ship"].approvers == Approvers(2, author=False)
    stricter = of_release_branch(trusted, [TRUSTED])
    assert stricter.weakened == () and stricter.project == trusted
    without = of_release_branch(changed(NO_APPROVAL), [trusted]).project.pipelines["release"].steps["ship"]
    assert without.approvers.number == 2


def test_another_name_for_the_step_the_pipeline_or_the_place_is_no_way_around() -> None:
    renamed = changed(NO_APPROVAL, ("  release:", "  other:"), ("ship:", "harmless:"))
    step = of_release_branch(renamed, [TRUSTED]).project.pipelines["other"].steps["harmless"]
    assert step.approval and step.approval_timeout == 3600.0
    hidden = changed(
        NO_APPROVAL,
        ("ship: {uses: promote, environment: production", "go: {uses: deploy, environment: '${{ params.where }}'"),
    )
    assert of_release_branch(hidden, [TRUSTED]).project.pipelines["release"].steps["go"].approval


def test_without_the_gate_that_was_there_a_person_has_to_look() -> None:
    trusted = changed(NO_APPROVAL)
    own = changed(NO_APPROVAL, ("      gate: {uses: gate, gate: quality, version: 1}\n", ""), (", needs: [gate]", ""))
    judged = of_release_branch(own, [trusted])
    assert judged.weakened == ("pipeline release has no gate quality any more",)
    steps = judged.project.pipelines["release"].steps
    assert steps["ship"].approval and not steps["try"].approval and not steps["look"].approval


def test_what_is_stricter_counts_at_once() -> None:
    trusted = changed(("protected: true, ", ""), NO_APPROVAL)
    judged = of_release_branch(TRUSTED, [trusted])
    assert judged.project == TRUSTED and judged.weakened == ()


def test_a_commit_of_another_branch_brings_its_pipelines_and_nothing_else() -> None:
    own = changed(
        ("port: 5100, protected: true, replicas: 2", "port: 5999"),
        ("model: ours", "model: theirs"),
        ("at_least: 0.9", "at_least: 0.1"),
        ("  staging:", "  mine: {driver: docker, host: 'ssh://elsewhere'}\n  staging:"),
        ('look: {run: "true"}', 'look: {run: "false"}'),
        NO_APPROVAL,
    )
    project = of_another_branch(own, TRUSTED).project
    assert (project.environments, project.gates, project.mlflow, project.git) == (
        TRUSTED.environments,
        TRUSTED.gates,
        TRUSTED.mlflow,
        TRUSTED.git,
    )
    steps = project.pipelines["release"].steps
    assert steps["look"].run == "false" and steps["ship"].approval


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "project")
    lab.write(".gitignore", ".podium/\n")
    lab.git("init", "-q", "-b", "main")
    yield lab
    lab.close()


ON = "on: {push: [main, feature]}"
GUARDED = 'show: {run: "echo $PODIUM_COMMIT", approval: required}'
OPEN = 'show: {run: "echo $PODIUM_COMMIT"}'


def push(lab: Lab, pushes: Pushes, steps: str, message: str = "next") -> Run:
    lab.pipeline(steps, extra=ON)
    lab.commit(message)
    [run] = pushes.look(lab.project, rung=True)
    return lab.journal.runs.get(run)


def test_an_approval_that_a_push_drops_is_asked_for_once_more_and_that_is_said(lab: Lab) -> None:
    lab.pipeline(GUARDED, extra=ON)
    lab.commit("first")
    pushes = Pushes(lab.journal, lambda _: None)
    pushes.look(lab.project)
    lab.write("README", "x")
    dropping = push(lab, pushes, OPEN)
    lab.transport(dropping.id, RunState.WAITING)
    [trouble] = lab.journal.agent.status().troubles
    assert "step show of main needs no approval any more" in trouble.words and dropping.commit[:9] in trouble.words
    assert "protection kept" in [entry.action for entry in lab.journal.audit.page(20)]
    from podium.core.engine.submit import approve

    approve(lab.journal, dropping.id, None, who="anna")
    assert lab.finish(dropping.id)[0].state is RunState.SUCCEEDED
    # From the next commit on it holds: who approved this run has seen it.
    lab.write("README", "y")
    following = push(lab, pushes, OPEN)
    assert lab.finish(following.id)[0].state is RunState.SUCCEEDED
    assert lab.journal.agent.status().troubles == ()


def test_neither_another_branch_nor_words_that_skip_weaken_anything(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.pipeline(GUARDED, extra=ON)
    lab.commit("first")
    lab.git("checkout", "-q", "-b", "feature")
    pushes = Pushes(lab.journal, lambda _: None)
    pushes.look(lab.project)
    run = push(lab, pushes, OPEN + "\nmore: {run: 'true'}")
    lab.transport(run.id, RunState.WAITING)
    assert lab.steps(run.id)["more"].state is StepState.SUCCEEDED, "its steps are its own"
    from podium.core.engine.submit import cancel

    cancel(lab.journal, run.id, "anna")
    lab.finish(run.id)
    # A secret of the agent's is no commit's to name, unless main names it.
    monkeypatch.setenv("PODIUM_TEST_SECRET", "hush")
    run = push(lab, pushes, "leak: {run: 'echo $X', env: {X: '${PODIUM_TEST_SECRET}'}}")
    assert lab.finish(run.id)[0].state is RunState.FAILED
    assert "PODIUM_TEST_SECRET" in lab.journal.runs.get(run.id).message
    lab.git("checkout", "-q", "main")
    lab.pipeline(OPEN, extra=ON)
    lab.commit("open [skip ci]")
    pushes.look(lab.project, rung=True)
    lab.write("README", "y")
    run = push(lab, pushes, OPEN)
    lab.transport(run.id, RunState.WAITING)


def test_a_run_by_hand_of_a_release_commit_has_its_branch(lab: Lab) -> None:
    lab.pipeline('show: {run: "echo on", when: "branch == \'main\'"}')
    lab.commit("first")
    run, steps = lab.run(commit="HEAD")
    assert run.branch == "main" and steps["show"].state is StepState.SUCCEEDED
    lab.git("checkout", "-q", "-b", "feature")
    lab.write("README", "y")
    lab.commit("second")
    run, steps = lab.run(commit="HEAD")
    assert run.branch == "" and steps["show"].state is StepState.SKIPPED


def test_a_run_has_the_branch_that_its_commit_was_named_by(lab: Lab) -> None:
    lab.pipeline('show: {run: "echo on", when: "branch == \'feature/x\'"}')
    lab.commit("first")
    lab.git("branch", "feature/x")
    run, steps = lab.run(commit="feature/x")
    assert run.branch == "feature/x" and steps["show"].state is StepState.SUCCEEDED
    assert lab.run(commit="HEAD")[0].branch == "main"
    assert lab.run(commit=lab.git("rev-parse", "HEAD"))[0].branch == "main"


def test_a_release_that_delivered_nothing_says_so(lab: Lab) -> None:
    lab.write(
        "podium.yaml",
        "project: lab\npipelines:\n  main:\n    steps:\n      train: {run: 'true'}\n"
        "      ship: {uses: promote, needs: [train], environment: production, when: \"branch == 'release'\"}\n"
        "      more: {run: 'true', when: \"branch == 'release'\"}\nenvironments: {production: {port: 5100}}\n",
    )
    run, steps = lab.run()
    assert (run.state, steps["ship"].state) == (RunState.SUCCEEDED, StepState.SKIPPED)
    assert run.message == "ship was left out: its condition does not hold: branch == 'release'"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory to another user")
def test_the_repository_of_another_user_is_told(lab: Lab) -> None:
    lab.pipeline('a: {run: "true"}')
    lab.commit("first")
    os.chown(lab.home, 54321, 54321)
    os.chown(lab.home / ".git", 54321, 54321)
    run, _ = lab.run()
    assert run.state is RunState.SUCCEEDED and run.commit == ""
    assert f"{lab.home} belongs to another user" in run.message
    assert f"git config --global --add safe.directory {lab.home}" in run.message


SIGNED = """
project: p
evidence: {signers: keys/allowed, revoked: keys/revoked, anchor: origin}
environments:
  production: {port: 5100, verify: required}
"""


def test_what_is_served_is_signed_by_those_who_could_before() -> None:
    trusted = read(SIGNED)
    for text in (
        SIGNED.replace("verify: required", "verify: off"),
        SIGNED.replace(", verify: required", ""),
        SIGNED.replace("keys/allowed", "keys/mine"),
        SIGNED.replace("signers: keys/allowed, ", ""),
        SIGNED.replace(", revoked: keys/revoked", ""),
        SIGNED.replace(", anchor: origin", ""),
    ):
        judged = of_release_branch(read(text), [trusted])
        assert (judged.project.environments, judged.project.evidence) == (trusted.environments, trusted.evidence)
        assert judged.weakened, text
    assert of_another_branch(read("project: p\n"), trusted).project.evidence == trusted.evidence
    more = read("project: p\nenvironments: {production: {port: 5100}}\n")
    assert of_release_branch(trusted, [more]).weakened == (), "what is stricter counts at once"
