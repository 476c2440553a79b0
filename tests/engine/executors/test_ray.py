"""Steps on a real Ray of two nodes: files, secrets, names, and what becomes of a step when something dies."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.domain.runs import RunState, StepState
from podium.core.engine.executors.ray.cluster import status
from podium.core.engine.executors.ray.executor import shown_secrets, submission
from podium.core.engine.executors.ray.jobs import Jobs
from podium.core.engine.executors.ray.package import packed
from podium.core.engine.executors.ray.remote import MARK
from podium.core.engine.submit import cancel
from podium.core.identity.directory import StateDirectory
from podium.core.identity.home import Home, new_id

from tests.conftest import ray_required
from tests.engine.executors.ray_lab import RayLab
from tests.engine.lab import Lab
from tests.servers import ray
from tests.support import wait_until

WAIT = 90


@pytest.fixture
def sent(tmp_path: Path, ray_cluster: ray.Cluster) -> Iterator[RayLab]:
    """A project whose nodes do not share its directory."""
    lab = RayLab(tmp_path / "project", ray_cluster.address, trusted=False)
    yield lab
    lab.close()


def test_files_are_sent_once_and_outputs_come_back(sent: RayLab) -> None:
    sent.write("in/data.txt", "7")
    (sent.home / "in" / "run.sh").write_text("#!/bin/sh\nmkdir -p out/deep && cat in/data.txt >out/deep/copy && pwd\n")
    (sent.home / "in" / "run.sh").chmod(0o755)
    sent.pipeline("a: {executor: ray, run: in/run.sh, inputs: [in/], outputs: [out/]}")
    first, steps = sent.run()
    assert first.state is RunState.SUCCEEDED, steps["a"].message
    assert (sent.home / "out/deep/copy").read_text() == "7"
    assert str(sent.home) not in sent.log(first.id, "a", "o").splitlines()[-1], "it ran in a copy"
    assert steps["a"].results["ray_job"].startswith("podium-lab-1-a-1-")
    (job,) = sent.jobs()
    jobs, whole = Jobs(sent.address), io.BytesIO()
    jobs.log(job["submission_id"], job["driver_node_id"], whole)
    jobs.close()
    assert MARK + b"x" + base64.b64encode(b"0") in whole.getvalue(), (
        "what is read when a log was not followed to its end"
    )
    _, steps = sent.run()
    assert steps["a"].cached


def test_a_step_with_a_secret_is_refused_and_nothing_is_submitted(sent: RayLab) -> None:
    sent.pipeline("a: {executor: ray, run: 'true', env: {DB_PASSWORD: swordfish}}")
    found, steps = sent.run()
    assert found.state is RunState.FAILED
    assert "would show a secret (the variable DB_PASSWORD) to everybody who reaches" in steps["a"].message
    assert "trusted: true" in steps["a"].message and not sent.jobs()


def test_an_embedded_store_is_refused(lab: Lab) -> None:
    lab.pipeline("a: {executor: ray, run: 'true'}")
    file = lab.home / "podium.yaml"
    file.write_text(file.read_text() + "ray: {address: 'http://127.0.0.1:9'}\n")
    _, steps = lab.run()
    assert "MLflow's store is a file on this machine, which jobs on Ray cannot reach" in steps["a"].message


def test_a_cancelled_run_ends_its_job(sent: RayLab) -> None:
    sent.pipeline("a: {executor: ray, run: 'echo begun; sleep 300'}")
    run = sent.start()
    wait_until(lambda: "begun" in _log(sent, run.id, "o"), WAIT, what="it runs")
    cancel(sent.journal, run.id, "anna")
    found, steps = sent.finish(run.id, timeout=WAIT)
    assert found.state is RunState.CANCELLED and steps["a"].state is StepState.CANCELLED
    wait_until(lambda: {job["status"] for job in sent.jobs()} == {"STOPPED"}, WAIT, what="Ray has stopped it")


def test_what_the_cluster_has_and_what_waits(sent: RayLab) -> None:
    sent.pipeline(
        "a: {executor: ray, run: 'echo begun; sleep 300', cpus: 2}\n"
        "b: {executor: ray, run: 'true', resources: {moon: 1}}"
    )
    run = sent.start()
    wait_until(lambda: "begun" in _log(sent, run.id, "o"), WAIT, what="it runs")

    def whole() -> bool:
        jobs = {job.step: job for job in status(sent.address).jobs if job.project == "lab" and job.run == str(run.id)}
        return jobs.keys() == {"a", "b"} and jobs["a"].status == "running" and "resources" in jobs["b"].waits

    wait_until(whole, WAIT, what="one runs and one waits")
    found = status(sent.address)
    # The head's address is the machine's own, whatever it was told.
    assert [(node.head, node.alive, node.cpus.total) for node in found.nodes] == [(True, True, 2.0), (False, True, 2.0)]
    assert found.nodes[1].address == ray.WORKER
    job = next(job for job in found.jobs if job.step == "a")
    assert job.node in {node.address for node in found.nodes} and job.asks == "2 CPUs"
    cancel(sent.journal, run.id, "anna")
    assert sent.finish(run.id, timeout=WAIT)[0].state is RunState.CANCELLED


@pytest.mark.in_turn(1, of="long stories")
def test_a_job_whose_node_is_lost_is_told_and_tried_again_elsewhere(tmp_path: Path) -> None:
    ray_required()
    root = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    lab: RayLab | None = None
    try:
        with ray.cluster(root) as cluster:
            lab = RayLab(tmp_path / "project", cluster.address, shared=True)
            # Only the worker has two free CPUs while this one has the head's.
            lab.pipeline(
                "hold: {executor: ray, run: 'echo x >>holds; while test ! -e free; do sleep 0.1; done', cpus: 2}\n"
                "a: {executor: ray, run: 'echo $$ >>starts; while test ! -e go; do sleep 0.1; done', cpus: 2, retries: 1}"
            )
            run = lab.start()
            wait_until(lambda: (lab.home / "holds").exists() and (lab.home / "starts").exists(), WAIT, what="both run")
            step = next(job.step for job in status(cluster.address).jobs if job.node == ray.WORKER)
            for pid in cluster.pids_of(ray.WORKER):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if step == "hold":  # it has no second attempt
                lab.write("go", "")  # the other one goes on: a run ends with its last step
                _, steps = lab.finish(run.id, timeout=WAIT * 2)
                assert "lost with its node" in steps["hold"].message
                return
            wait_until(lambda: "attempt 1 of 2: the job was lost with its node" in _log(lab, run.id), WAIT)
            lab.write("free", "")
            lab.write("go", "")
            found, steps = lab.finish(run.id, timeout=WAIT)
            assert found.state is RunState.SUCCEEDED, steps["a"].message
            assert steps["a"].attempt == 2
    finally:
        if lab is not None:
            lab.close()
        shutil.rmtree(root, ignore_errors=True)


def test_a_head_that_is_away_is_waited_for_and_told(sent: RayLab) -> None:
    """Nobody listens on this port: what a worker sees of a head that is gone."""
    sent.pipeline("a: {executor: ray, run: 'true'}")
    file = sent.home / "podium.yaml"
    file.write_text(file.read_text().replace(sent.address, "http://127.0.0.1:9"))
    run = sent.start()
    wait_until(lambda: "waiting for it" in _log(sent, run.id), WAIT, what="it says so")
    cancel(sent.journal, run.id, "anna")
    found, steps = sent.finish(run.id, timeout=WAIT)
    assert found.state is RunState.CANCELLED and "cannot be reached" in _log(sent, run.id), steps["a"].message


def test_names_of_jobs_never_meet(lab: Lab, tmp_path: Path) -> None:
    other = Lab(tmp_path / "other")
    projects = [each.pipeline("a: {run: 'true'}") for each in (lab, other)]
    names = {
        submission(project, run, step, attempt)
        for project in projects
        for run in (1, 11)
        for step in ("a", "a-1", "a[x=1]", "a[x-1]")
        for attempt in (1, 2)
    }
    assert len(names) == 2 * 2 * 4 * 2
    long = replace(projects[0], name="l" * 90)
    assert len({submission(long, run, "s" * 90, attempt) for run in (1, 2) for attempt in (1, 2)}) == 4
    assert all(len(name) < 120 and name.replace("-", "").isalnum() for name in names)
    other.close()


def test_projects_at_one_path_of_two_machines_have_jobs_of_their_own(lab: Lab) -> None:
    project = lab.pipeline("a: {run: 'true'}")
    names: set[str] = set()
    for _ in range(2):
        Home(new_id(), StateDirectory.of(project.state)).write(project.state)
        names.add(submission(project, 1, "a", 1))
    assert len(names) == 2


def test_secrets_are_found_in_whatever_form_ray_would_show_them() -> None:
    secrets = ('pä"ss\\word',)
    env = {"DATABASE_URL": "postgres://me:swordfish@db/x", "KEYS": f"a {secrets[0]}", "PLAIN": "1", "MY_TOKEN": "t"}
    assert shown_secrets(env, (), secrets) == (["DATABASE_URL", "KEYS", "MY_TOKEN"], False)
    for said in ({"env_vars": {"A": secrets[0]}}, ["x", {"pip": ["--index-url=https://me:pass@host/simple"]}]):
        assert shown_secrets({}, said, secrets) == ([], True)
    assert shown_secrets({"A": "1"}, {"pip": ["scikit-learn==1.7.2"]}, secrets) == ([], False)


def test_a_package_depends_on_the_files_alone(lab: Lab) -> None:
    lab.write("b.txt", "1")
    lab.write("a/c.txt", "2")
    lab.write(".venv/large", "no")
    first = packed(lab.home)
    os.utime(lab.home / "b.txt", (1, 1))
    assert packed(lab.home) == first
    lab.write("b.txt", "2")
    assert packed(lab.home) != first


def _log(lab: Lab, run: int, streams: str = "oep") -> str:
    try:
        return lab.log(run, "a", streams)
    except FileNotFoundError:
        return ""
