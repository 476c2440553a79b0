"""The whole thing with nothing stood in for: MLflow's registry, the real serving app, HAProxy, runs with workers, a
load from outside."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from podium.core import priority
from podium.core.cockpit import Cockpit
from podium.core.delivery.environment import healing
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.host import daemon
from podium.core.delivery.proxy import proxy
from podium.core.delivery.rollout import aliases as labels
from podium.core.delivery.rollout import recovery
from podium.core.domain.delivery import DeploymentState, How, ReplicaState
from podium.core.domain.repair import DifferenceKind
from podium.core.domain.runs import RunState
from podium.core.domain.verdicts import CheckResult, GateReport, Verdict
from podium.core.errors import Refused
from podium.core.registry.snapshot import refresh

from tests.delivery.light import Load, get
from tests.engine.lab import running
from tests.support import free_port, wait_until

PODIUM = """\
project: iris
mlflow: {{model: iris}}
pipelines: {{release: {{steps: {{one: {{run: "true"}}}}}}}}
gates: {{quality: {{data: test.csv, target: y, checks: [{{metric: accuracy, at_least: 0.5}}]}}}}
environments:
  production: {{driver: process, port: {port}, replicas: 1, protected: true, strategy: {{blue-green: {{drain: 5s}}}}}}
"""
# The process that has MLflow loaded goes on from one test to the next.
PRELOADING = "preload"
pytestmark = pytest.mark.in_turn(5)
QUESTION = json.dumps({"inputs": [[5.1, 3.5, 1.4, 0.2]]}).encode()


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with two versions, which serves nothing yet."""
    home = tmp_path_factory.mktemp("iris")
    (home / "podium.yaml").write_text(PODIUM.format(port=free_port()))
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("PODIUM_NICE", raising=False)
        made = Cockpit.open(home)
        try:
            _register(made)
        finally:
            made.close()
        _keep(home, "registered")
        yield home


@pytest.fixture(scope="module")
def rolled_back(registered: Path) -> Path:
    """Version 2 was promoted and rolled back."""
    for made in _opened(registered, "registered"):
        passed(made, 1)
        carry_out(made, How.PROMOTE)
        carry_out(made, How.PROMOTE, 2, force=True, why="the data was wrong")
        carry_out(made, How.ROLLBACK, why="wrong after all")
        _end(made)
        _keep(registered, "rolled back")
    return registered


@pytest.fixture
def fresh(registered: Path) -> Iterator[Cockpit]:
    yield from _opened(registered, "registered")


@pytest.fixture
def cockpit(rolled_back: Path) -> Iterator[Cockpit]:
    """Version 1 serves, version 2 is warm and quarantined."""
    for made in _opened(rolled_back, "rolled back"):
        _bring_back(made)
        yield made


def _bring_back(cockpit: Cockpit) -> None:
    project, journal = cockpit.project.config, cockpit.journal
    environment = project.environments["production"]

    def back() -> bool:
        healing.heal_environment(project, journal, environment)
        status = cockpit.environments.get("production")
        states = {row.state for row in status.replicas}
        return not status.differences and states == {ReplicaState.READY, ReplicaState.WARM}

    wait_until(back, 60, what="version 1 serves and version 2 is warm")


def _keep(home: Path, name: str) -> None:
    shutil.copytree(home / ".podium", home.with_name(f"{home.name}, {name}"), symlinks=True, ignore=_not_kept)


def _not_kept(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if name == PRELOADING or (Path(directory) / name).is_socket()]


def _opened(home: Path, kept: str) -> Iterator[Cockpit]:
    """Opens the project as it was when its state was kept, in the directory that it had: whatever a test did to it is
    gone."""
    state = home / ".podium"
    for each in state.iterdir():
        if each.name != PRELOADING:
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    shutil.copytree(home.with_name(f"{home.name}, {kept}"), state, symlinks=True, dirs_exist_ok=True)
    made = Cockpit.open(home)
    _forget_connections(made)
    try:
        yield made
    finally:
        try:
            _end(made)
        finally:
            made.close()


def _forget_connections(cockpit: Cockpit) -> None:
    """MLflow keeps its connections in this process: to the database that was here before."""
    import mlflow

    client = mlflow.MlflowClient(cockpit.project.config.mlflow.tracking_uri)
    client._get_registry_client().store.engine.dispose()
    client._tracking_client.store.engine.dispose()


def _end(cockpit: Cockpit) -> None:
    """Ends what serves as a machine that goes down would: its rows stay, and it can be brought back."""
    rows = cockpit.journal.replicas.of("production")
    pids = [row.pid for row in rows if row.pid is not None]
    pids += _haproxies(str(cockpit.project.config.state / "environments" / "production"))
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(running(pid) for pid in pids))


def _register(cockpit: Cockpit) -> None:
    import mlflow
    from podium.core.registry.prepare import prepare
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    project = cockpit.project.config
    prepare(project.mlflow, project.state)
    mlflow.set_tracking_uri(project.mlflow.tracking_uri)
    mlflow.set_experiment(project.mlflow.experiment)
    rows, truth = load_iris(return_X_y=True)
    for strength in (0.1, 1.0):
        model: Any = LogisticRegression(C=strength, max_iter=500).fit(rows, truth)
        with mlflow.start_run():
            mlflow.sklearn.log_model(
                model,
                name="model",
                input_example=rows[:2],
                registered_model_name="iris",
                pip_requirements=["scikit-learn"],
            )
    mlflow.MlflowClient().set_registered_model_alias("iris", "challenger", 1)
    refresh(project, cockpit.journal)


def passed(cockpit: Cockpit, version: int, verdict: Verdict = Verdict.PASS) -> None:
    checks = (CheckResult("accuracy", verdict, "by hand", 0.9),)
    cockpit.journal.gates.add(GateReport("quality", "iris", version, None, verdict, checks, time.time()))


def carry_out(cockpit: Cockpit, how: How, version: int | None = None, **more: Any) -> dict[str, Any]:
    plan = cockpit.changes.plan(how, "production", version=version)
    run = cockpit.changes.apply(plan, confirmed="production", **more)
    detail = wait_until(lambda: (d := cockpit.runs.get(run.id)).run.state.finished and d, 60)
    text = (
        cockpit.runs.log(run.id, str(how)).read_text(errors="replace")
        if detail.run.state is not RunState.SUCCEEDED
        else ""
    )
    assert detail.run.state is RunState.SUCCEEDED, f"{detail.run.message}\n{text}"
    return dict(detail.steps[0].results)


def aliases(cockpit: Cockpit) -> dict[str, int]:
    """Asked of MLflow itself, and compared with what the journal believes."""
    import mlflow

    real = dict(mlflow.MlflowClient(cockpit.project.config.mlflow.tracking_uri).get_registered_model("iris").aliases)
    believed = {alias: version.version for version in cockpit.models.versions() for alias in version.aliases}
    assert {alias: int(number) for alias, number in real.items()} == believed
    return believed


def test_promote_promote_again_under_load_and_roll_back(fresh: Cockpit) -> None:
    cockpit = fresh
    port = cockpit.project.config.environments["production"].port
    plan = cockpit.changes.plan(How.PROMOTE, "production")
    assert plan.versions.version == 1 and plan.type_to_confirm == "production" and plan.overridable
    with pytest.raises(Refused, match="has not passed a gate: none has looked at it"):
        cockpit.changes.apply(plan)
    passed(cockpit, 1)
    first = carry_out(cockpit, How.PROMOTE)
    assert first["version"] == 1 and first["digest"].startswith("sha256:")
    assert aliases(cockpit) == {"champion": 1}
    told = json.loads(get(port, "/version"))
    assert (told["version"], told["environment"], told["digest"]) == ("1", "production", first["digest"])

    passed(cockpit, 2, Verdict.FAIL)
    with pytest.raises(Refused, match="last verdict is fail"):
        cockpit.changes.apply(cockpit.changes.plan(How.PROMOTE, "production", version=2))
    with Load(port, body=QUESTION) as load:
        wait_until(lambda: load.total > 50)
        carry_out(cockpit, How.PROMOTE, 2, force=True, why="the data was wrong")
        assert aliases(cockpit) == {"champion": 2, "previous": 1}
        status = cockpit.environments.get("production")
        assert status.differences == () and (status.rollback_to, status.rollback_note) == (1, "version 1 is warm")
        assert (
            status.deployment is not None and status.deployment.forced and status.deployment.why == "the data was wrong"
        )
        rolled = carry_out(cockpit, How.ROLLBACK, why="wrong after all")
    assert load.failures == [] and load.total > 200
    assert json.loads(get(port, "/version"))["version"] == "1"
    assert aliases(cockpit) == {"champion": 1}
    assert [q.version for q in cockpit.models.quarantined()] == [2]
    # Measured by benchmarks/rollback.py; here only that the aliases, for which MLflow is imported, come after the weights.
    deployment = cockpit.environments.get("production").deployment
    assert deployment is not None and deployment.run_id is not None and deployment.ended is not None
    asked = cockpit.runs.get(deployment.run_id).run.created
    assert deployment.ended - asked > rolled["traffic_seconds"]
    assert "start_seconds" not in deployment.data, "what was warm had nothing to start"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only nice values elsewhere")
def test_replicas_and_proxies_that_a_delivery_step_started_are_not_slowed_as_steps_are(cockpit: Cockpit) -> None:
    assert cockpit.project.config.nice == 10
    directory = str(cockpit.project.config.state / "environments" / "production")
    serving = [row.pid for row in cockpit.environments.get("production").replicas if row.pid is not None]
    proxies = _haproxies(directory)
    assert serving and len(proxies) >= 2
    for pid in [*serving, *proxies]:
        assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0), _command(pid)
        assert priority.io_priority(pid) == priority.io_priority(), _command(pid)
        group = Path(f"/proc/{pid}/autogroup")
        assert not group.exists() or group.read_text().split()[-1] == "0", _command(pid)


def _haproxies(directory: str) -> list[int]:
    configurations = Path(directory).rglob("*.cfg")
    return [pid for each in configurations for pid, _ in daemon.find_command("haproxy", str(each))]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def test_an_alias_that_somebody_moved_is_told_and_mended(cockpit: Cockpit) -> None:
    serving = cockpit.environments.get("production").serving
    assert serving is not None
    _set_alias("champion", 3 - serving)
    refresh(cockpit.project.config, cockpit.journal)
    plan = cockpit.changes.plan("repair", "production")
    assert [each.kind for each in plan.differences] == [DifferenceKind.ALIAS] and plan.type_to_confirm == "production"
    assert plan.steps[0] == f"move the alias champion to version {serving}"
    run = cockpit.changes.apply(plan, confirmed="production", why="somebody moved it")
    detail = wait_until(lambda: (d := cockpit.runs.get(run.id)).run.state.finished and d, 60)
    assert detail.run.state is RunState.SUCCEEDED, detail.run.message
    assert detail.steps[0].results["left"] == [] and cockpit.environments.get("production").differences == ()
    assert {alias: v.version for v in cockpit.models.versions() for alias in v.aliases}["champion"] == serving
    assert cockpit.changes.plan("repair", "production").steps == ()


def _set_alias(alias: str, version: int) -> None:
    import mlflow

    mlflow.MlflowClient().set_registered_model_alias("iris", alias, version)


def test_champion_alias_that_is_not_set_is_told_and_put_right_by_the_next_promotion(cockpit: Cockpit) -> None:
    import mlflow

    client = mlflow.MlflowClient(cockpit.project.config.mlflow.tracking_uri)
    client.delete_registered_model_alias("iris", "champion")
    refresh(cockpit.project.config, cockpit.journal)
    assert "the alias champion is not set, and version 1 serves" in map(
        str, cockpit.environments.get("production").differences
    )
    plan = cockpit.changes.plan(How.PROMOTE, "production", version=1)
    assert any("is not set" in warning for warning in plan.warnings)
    carry_out(cockpit, How.PROMOTE, 1)
    assert aliases(cockpit) == {"champion": 1} and cockpit.environments.get("production").differences == ()


def test_step_killed_after_traffic_moved_is_finished_with_its_aliases_without_mlflow_in_the_agent(
    cockpit: Cockpit,
) -> None:
    project, journal = cockpit.project.config, cockpit.journal
    journal.quarantine.lift("iris", 2, "anna")
    before = journal.replicas.of("production")
    deployment = journal.ledger.begin(
        environment="production",
        how=How.PROMOTE,
        model="iris",
        to_version=2,
        from_version=1,
        who="anna",
        digest=before[-1].digest,
    )
    runtime = EnvironmentRuntime(project, journal, project.environments["production"])
    journal.ledger.phase(
        deployment.id, "shifted", {"new": [], "weights": {row.id: row.weight for row in before}, "proxy": True}
    )
    runtime.traffic.weigh({row.id: 100 if row.version == 2 else 0 for row in before})
    assert recovery.recover(project, journal) == ["production: the interrupted promote of version 2 was finished"]
    assert journal.ledger.get(deployment.id).state is DeploymentState.SUCCEEDED
    assert aliases(cockpit) == {"champion": 2, "previous": 1}
    # And its way back, as an undo would go it.
    labels.AliasProcess(project).move_back(journal.ledger.get(deployment.id))
    refresh(project, journal)
    assert aliases(cockpit)["champion"] == 1
    labels.finish(project, journal, journal.ledger.get(deployment.id))


def serve_second(cockpit: Cockpit) -> None:
    cockpit.journal.quarantine.lift("iris", 2, "anna")
    carry_out(cockpit, How.PROMOTE, 2, force=True, why="it was right")


def _delete_second(cockpit: Cockpit) -> None:
    import mlflow

    mlflow.MlflowClient(cockpit.project.config.mlflow.tracking_uri).delete_model_version("iris", "2")
    refresh(cockpit.project.config, cockpit.journal)


def test_deleted_version_that_still_serves_is_told(cockpit: Cockpit) -> None:
    serve_second(cockpit)
    _delete_second(cockpit)
    differences = [each.words for each in cockpit.environments.get("production").differences]
    assert "version 2 serves but was deleted from the registry" in differences
    assert "the alias champion is not set, and version 2 serves" in differences
    plan = cockpit.changes.plan(How.ROLLBACK, "production")
    assert plan.versions.version == 1 and plan.refusal == ""
    carry_out(cockpit, How.ROLLBACK)
    assert aliases(cockpit) == {"champion": 1}


def test_rollback_stands_when_the_registry_does_not_answer(cockpit: Cockpit, tmp_path: Path) -> None:
    """Version 2's files are still here though the registry has forgotten it: back to it, with MLflow's store out of
    reach."""
    project, journal = cockpit.project.config, cockpit.journal
    serve_second(cockpit)
    carry_out(cockpit, How.ROLLBACK, 1, why="wrong after all")
    _delete_second(cockpit)
    journal.quarantine.lift("iris", 2, "anna")
    store = project.state / "mlflow/mlflow.db"
    kept = store.rename(tmp_path / "kept.db")
    store.mkdir()
    try:
        results = carry_out(cockpit, How.ROLLBACK, 2, why="trying")
    finally:
        store.rmdir()
        kept.rename(store)
    assert results["version"] == 2 and "the aliases were not moved" in results["warnings"][0]
    assert json.loads(get(project.environments["production"].port, "/version"))["version"] == "2"


def test_killed_real_replica_is_healed(cockpit: Cockpit) -> None:
    project, journal = cockpit.project.config, cockpit.journal
    environment = project.environments["production"]
    [victim] = [row for row in journal.replicas.of("production") if row.weight]
    assert victim.pid
    os.kill(victim.pid, signal.SIGKILL)
    wait_until(lambda: healing.heal_environment(project, journal, environment))
    wait_until(
        lambda: (
            not healing.heal_environment(project, journal, environment)
            and cockpit.environments.get("production").replicas
        ),
        20,
    )
    port = environment.port

    def answers() -> bool:
        try:
            return json.loads(get(port, "/version"))["version"] == str(victim.version)
        except (AssertionError, OSError):
            return False

    wait_until(answers, 30)
    assert proxy.of_process(project.state / "environments" / "production").totals().keys() == {1, 2}


def change(cockpit: Cockpit, verb: str, why: str) -> dict[str, Any]:
    run = cockpit.changes.apply(cockpit.changes.plan(verb, "production"), confirmed="production", why=why)
    assert run is not None
    detail = wait_until(lambda: (d := cockpit.runs.get(run.id)).run.state.finished and d, 60)
    assert detail.run.state is RunState.SUCCEEDED, detail.run.message
    return dict(detail.steps[0].results)


def test_stopped_on_purpose_it_stays_so_until_it_is_started(cockpit: Cockpit) -> None:
    """Version 2 is not in the registry any more: what served is brought back all the same."""
    project, journal = cockpit.project.config, cockpit.journal
    environment = project.environments["production"]
    serve_second(cockpit)
    _delete_second(cockpit)
    rows, served = journal.replicas.of("production"), cockpit.environments.get("production").serving
    with pytest.raises(Refused, match="its name was not typed"):
        cockpit.changes.apply(cockpit.changes.plan("stop", "production"))
    ended = change(cockpit, "stop", "a new disk")["ended"]
    assert {row.id for row in rows} < set(ended) and journal.replicas.of("production") == []
    assert healing.heal_environment(project, journal, environment) == []
    with pytest.raises(OSError):
        get(environment.port, "/version")
    status = cockpit.environments.get("production")
    assert status.stopped is not None and status.stopped.why == "a new disk" and status.proxy_alive is False
    assert DifferenceKind.MISSING not in {each.kind for each in status.differences}

    assert change(cockpit, "start", "the disk is in")["version"] == served
    assert json.loads(get(environment.port, "/version"))["version"] == str(served)
    status = cockpit.environments.get("production")
    assert status.stopped is None and status.deployment is not None and status.deployment.how is How.START
