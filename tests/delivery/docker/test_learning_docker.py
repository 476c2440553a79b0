"""Requests, labels and memory of replicas in containers, of the real serving image: what replicas of processes keep,
those in containers keep too, also after their container is gone."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podium.core.containers import Engine
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.load.memory import Memory
from podium.core.delivery.rollout import carry_out
from podium.core.delivery.rollout.carry_out import RolloutRequest
from podium.core.delivery.status import status as environments
from podium.core.domain.delivery import How
from podium.core.domain.project import Environment, Strategy
from podium.core.labels.store import LabelStore
from podium.core.serving.image import build as serving_images

from tests.runner.scale import scaled
from tests.servers import images
from tests.serving.image import shop
from tests.serving.image.shop import Shop, copied
from tests.support import free_port, wait_until

pytestmark = [pytest.mark.timeout(400), pytest.mark.in_turn(12, of="containers")]
COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]


LEAVING = """
import os
import mlflow
class Leaving(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        if (model_input.iloc[:, 0] < 0).any():
            os._exit(3)
        return [0] * len(model_input)
mlflow.models.set_model(Leaving())
"""


def save_leaving(path: Path) -> None:
    """A model whose process ends over a negative number."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    code = path.with_name("leaving.py")
    code.write_text(LEAVING)
    signature = ModelSignature(inputs=Schema([ColSpec("double", name) for name in COLUMNS]))
    mlflow.pyfunc.save_model(
        str(path), python_model=str(code), signature=signature, pip_requirements=shop.requirements()
    )


@pytest.fixture
def served(tmp_path: Path, engine: Engine, python_image: str) -> Iterator[Shop]:
    """Version 1 serves from a container, and everything that is asked is captured but for one column."""
    save_leaving(tmp_path / "model")
    images.ensure(engine.api, images.HAPROXY)
    with shop.opened(tmp_path / "project", engine, python_image) as made:
        made.add(1, copied(tmp_path / "model"))
        serving_images.build(made.project, made.journal, 1, run_id=7, say=made.say)
        environment = Environment(
            "staging", driver="docker", port=free_port(), proxy_image=images.HAPROXY, capture=1.0, redact=(COLUMNS[3],),
            health_timeout=scaled(60.0), strategy=Strategy(drain=2.0),
        )  # fmt: skip
        # Another one is protected, so that this one carries no alias, for which there is no registry.
        other = Environment("production", driver="docker", port=free_port(), protected=True)
        made.project = replace(made.project, environments={"staging": environment, "production": other})
        deploy(made)
        yield made
        environments.stop(made.project, made.journal, made.project.environments["staging"])


def runtime(made: Shop) -> EnvironmentRuntime:
    return EnvironmentRuntime(made.project, made.journal, made.project.environments["staging"], say=made.say)


def deploy(made: Shop) -> None:
    carry_out.carry_out(runtime(made), RolloutRequest(How.DEPLOY, 1, who="anna", asked=time.time()))


def ask(made: Shop, path: str, body: Any, **headers: str) -> Any:
    port = made.project.environments["staging"].port
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    )
    with urllib.request.urlopen(request, timeout=scaled(10)) as answer:
        return json.loads(answer.read() or b"null")


def predicted(made: Shop, name: str) -> None:
    body = {"dataframe_split": {"columns": COLUMNS, "data": [[5.1, 3.5, 1.4, 0.2]]}}
    assert ask(made, "/invocations", body, **{"X-Request-Id": name})["predictions"] == [0]


def fatal(made: Shop) -> int:
    """The status of the request that ends whoever predicts it."""
    body = {"dataframe_split": {"columns": COLUMNS, "data": [[-1.0, 3.5, 1.4, 0.2]]}}
    try:
        ask(made, "/invocations", body)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def test_requests_and_labels_of_containers_are_kept_with_their_inputs(served: Shop) -> None:
    names = [f"request-{number}" for number in range(5)]
    for name in names:
        predicted(served, name)
    for name in names[:3]:
        ask(served, "/feedback", {"request_id": name, "truth": 0})
    with LabelStore.open(served.project.state, "staging") as store:

        def labelled() -> bool:
            store.collect()
            return store.counts().matched == 3

        wait_until(labelled, 60, what="labels of a container find their requests")
        assert store.counts().requests >= 5
        kept = {each.id: each for each in store.requests(limit=50) if each.id in names}
        assert set(kept) == set(names) and {each.version for each in kept.values()} == {1}
        assert kept["request-0"].columns == tuple(COLUMNS[:3]), "a redacted column is never kept"
        assert kept["request-0"].inputs == ((5.1, 3.5, 1.4),)

        # What a container has written outlives it, and the one that takes its place writes on.
        served.project = replace(
            served.project,
            environments={
                **served.project.environments,
                "staging": replace(served.project.environments["staging"], redact=()),
            },
        )
        before = {row.container for row in runtime(served).replicas()}
        deploy(served)
        assert not before & {row.container for row in runtime(served).replicas()}, "it was replaced: another `redact`"
        predicted(served, "later")

        def collected() -> bool:
            store.collect()
            return any(each.id == "later" and each.columns == tuple(COLUMNS) for each in store.requests(limit=50))

        wait_until(collected, 60, what="the new container's requests")
        assert store.counts().matched == 3


def test_the_memory_of_a_container_is_what_its_replica_says(served: Shop) -> None:
    predicted(served, "one")
    world = runtime(served)
    (row,) = world.replicas()
    assert row.pid is None and row.container
    memory = Memory(world, [row])
    memory.look()
    stats = served.engine.api.stats(row.container, stream=False)
    used = stats["memory_stats"]["usage"]
    assert memory.peak > 20e6 and memory.peak < 3 * used, "resident bytes, near to what the engine counts"
    gone = Memory(world, [replace(row, port=free_port())])
    gone.look()
    assert gone.peak == 0.0, "unknown is not a small number"


def test_a_fatal_request_is_refused_again_when_its_container_has_started_again(served: Shop) -> None:
    """The engine starts it again; what it knows lies in the volume that all containers of the environment share."""
    (row,) = runtime(served).replicas()

    def restarts() -> int:
        return int(served.engine.inspect(row.container)["RestartCount"])

    def metric(name: str) -> float:
        status, body = runtime(served).transport.http(row.address, row.port, "GET", "/metrics", timeout=scaled(5))
        assert status == 200
        return next(float(line.split()[-1]) for line in body.decode().splitlines() if line.startswith(f"{name} "))

    def answering() -> bool:
        with suppress(AssertionError, OSError):
            predicted(served, "fine")
            return True
        return False

    def refused() -> int:
        """Where the proxy's checks do not take it for up yet, the request does not reach it (503)."""
        found: list[int] = []
        wait_until(lambda: found.append(fatal(served)) or found[-1] != 503, 60, what="the request arrives")
        return found[-1]

    assert fatal(served) >= 500
    wait_until(answering, 60, what="the engine has started it again")
    assert restarts() == 1
    assert refused() == 500, "tried once more, apart, and refused from now on"
    assert refused() == 500 and restarts() == 1 and metric("podium_died_apart_total") == 1
    served.engine.api.restart(row.container, timeout=1)
    wait_until(answering, 60, what="it is back")
    assert [refused() for _ in range(3)] == [500] * 3
    assert metric("podium_refused_total") == 3 and metric("podium_died_apart_total") == 0, "no process ended over it"
    predicted(served, "last")
