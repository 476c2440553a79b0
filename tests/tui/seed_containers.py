"""The seeded project on Docker: what the engines were last seen to run, what it used, its logs, images, and canaries
in every state."""

from __future__ import annotations

import math
import random
import time
from dataclasses import replace
from pathlib import Path

from podium.core.domain.containers import Container, EngineSnapshot, Image, usage_series
from podium.core.domain.delivery import CanaryState, CanaryStatus, Replica, ReplicaState
from podium.core.domain.verdicts import CheckResult, Verdict
from podium.core.domain.watching import Sample
from podium.core.journal import Journal

from .seed import COMMITS, MODEL, NOW, PROJECT, SeededCockpit, seed

ON_DOCKER = PROJECT.replace("{driver: process, port: 5101}", "{driver: docker, port: 5101}").replace(
    "{driver: process, port: 5100, replicas: 2, protected: true}",
    "{driver: docker, host: 'ssh://deploy@serving-1', port: 5100, replicas: 2, protected: true,"
    " strategy: {canary: {weights: [5, 25, 50], interval: 2m, analysis: [{signal: error_rate, at_most: 0.01}]}}}",
)
ENGINES = {"staging": "unix:///var/run/docker.sock", "production": "ssh://deploy@serving-1"}
_IMAGES = {2: "b1946ac92492d234", 3: "5ba93c9db0cff93f", 4: "e3b0c44298fc1c14"}
_PROXY = "haproxy:2.8"


def seed_containers(home: Path, *, replicas: int = 2, now: float = NOW) -> SeededCockpit:
    """The project with both environments on Docker; production with so many replicas of version 3."""
    seed(home, config=ON_DOCKER, now=now).close()
    with Journal.open(home / ".podium" / "journal.db") as journal, journal.transaction():
        for row in journal.replicas.all():
            journal.replicas.remove(row.environment, row.id)
        containers = {"staging": _staging(journal, now), "production": _production(journal, replicas, now)}
        for environment, found in containers.items():
            journal.snapshots.put(EngineSnapshot(environment, ENGINES[environment], now, tuple(found)))
            _usage(journal, environment, found, now)
        for version in (2, 3, 4):
            _image(journal, version, now)
    for environment, found in containers.items():
        for one in found:
            write_replica_log(home, environment, one, now)
    cockpit = SeededCockpit(home)
    cockpit.clock_now = now
    return cockpit


def _replica(
    journal: Journal,
    environment: str,
    version: int,
    number: int,
    state: ReplicaState,
    weight: int,
    age: float,
    now: float,
) -> Container:
    name = f"{environment}-v{version}-{number}"
    digest = _IMAGES[version]
    chance = random.Random(name)
    container = Container(
        f"{chance.getrandbits(256):064x}",
        name,
        environment,
        "replica",
        "exited" if state is ReplicaState.STOPPED else "running",
        now,
        health="" if state is ReplicaState.STOPPED else "healthy",
        image_id=f"sha256:{digest * 4}",
        image=f"registry.example.com/{MODEL}@sha256:{digest * 4}",
        version=version,
        replica=name,
        exit_code=0 if state is ReplicaState.STOPPED else None,
        created=now - age,
        started=now - age,
        address="172.20.0.4",
    )
    journal.replicas.put(
        Replica(
            name,
            environment,
            version,
            f"v{version}-{number}",
            8080,
            state,
            weight=weight,
            started=now - age,
            address="172.20.0.4",
            container=container.id,
            image=container.image,
        )
    )
    return container


def _proxy(environment: str, age: float, now: float) -> Container:
    chance = random.Random(environment)
    return Container(
        f"{chance.getrandbits(256):064x}",
        f"podium-{MODEL}-{environment}-proxy-359086",
        environment,
        "proxy",
        "running",
        now,
        image_id="sha256:" + "9f86d081884c7d65" * 4,
        image=_PROXY,
        created=now - age,
        started=now - age,
    )


def _staging(journal: Journal, now: float) -> list[Container]:
    return [_proxy("staging", 27 * 3600, now), _replica(journal, "staging", 4, 1, ReplicaState.READY, 100, 290, now)]


def _production(journal: Journal, replicas: int, now: float) -> list[Container]:
    found = [
        _replica(journal, "production", 3, number, ReplicaState.READY, 100, 25 * 3600, now)
        for number in range(1, replicas + 1)
    ]
    found.append(_replica(journal, "production", 2, 1, ReplicaState.WARM, 0, 50 * 3600, now))
    found.append(_replica(journal, "production", 2, 2, ReplicaState.STOPPED, 0, 50 * 3600, now))
    return [*found, _proxy("production", 60 * 3600, now)]


def _usage(journal: Journal, environment: str, containers: list[Container], now: float, *, seconds: int = 120) -> None:
    samples: list[Sample] = []
    for one in containers:
        if one.state != "running":
            continue
        name = one.replica or one.name
        chance = random.Random(name)
        scale = (0.02 if one.role == "proxy" else 0.35) * (
            1 if environment == "production" and one.version != 2 else 0.1
        )
        memory = 14e6 if one.role == "proxy" else 412e6
        for second in range(seconds + 1):
            at = now - seconds + second
            load = scale * (1 + 0.5 * math.sin(second / 9 + chance.random()) + chance.uniform(-0.1, 0.1))
            values = {
                "cpu": load,
                "memory": memory + second * 11_000,
                "received": load * 240_000,
                "sent": load * 61_000,
            }
            samples += [Sample(usage_series(environment, name), signal, at, value) for signal, value in values.items()]
    journal.samples.add(samples)


def _image(journal: Journal, version: int, now: float) -> None:
    digest = f"sha256:{_IMAGES[version] * 4}"
    journal.images.put(
        Image(
            MODEL,
            version,
            ENGINES["production"],
            f"sha256:{_IMAGES[version][::-1] * 4}",
            f"registry.example.com/{MODEL}@{digest}",
            now - 86_400 * (8 - 2 * version),
            digest,
            f"registry.example.com/{MODEL}:v{version}-{COMMITS[version - 1][:7]}",
            "python:3.11-slim",
            "sha256:1f",
            612_400_000 + version * 1_300_000,
            171.0 if version == 2 else 6.4,
            version,
            "sbom.json" if version == 4 else "",
        )
    )


def write_replica_log(home: Path, environment: str, container: Container, now: float, *, lines: int = 240) -> Path:
    """What a replica or a proxy says, in the stored form: each line with the engine's time."""
    name = container.replica or container.name
    path = home / ".podium" / "environments" / environment / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = random.Random(name)
    with path.open("w", encoding="utf-8") as file:
        for index in range(lines):
            at = now - (lines - index) * 0.5 + chance.uniform(0, 0.4)
            stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}.{int(at * 1000) % 1000:03d}Z"
            file.write(f"{stamp} {_line(container, index, chance)}\n")
    return path


def _line(container: Container, index: int, chance: random.Random) -> str:
    took = chance.uniform(2.1, 9.8)
    if container.role == "proxy":
        return (
            f"o 10.0.0.{chance.randint(2, 9)} serving~ replicas/v{chance.choice((3, 3, 4))}-1 200 {took:.1f} ms POST"
            " /invocations"
        )
    if index % 67 == 66:
        return "e UserWarning: 3 rows with an unknown carrier were given the mean"
    if index % 23 == 22:
        return (
            f'o {{"level": "info", "message": "captured", "rows": {chance.randint(1, 20)}, "request":'
            f' "{chance.getrandbits(32):08x}"}}'
        )
    return f"o POST /invocations 200 {chance.randint(1, 40)} rows {took:.1f} ms"


def canary(state: CanaryState = CanaryState.RUNNING, *, stage: int = 1, now: float = NOW) -> CanaryStatus:
    """Version 4 beside version 3 in production, in the stage of 25 %."""
    weights = (5, 25, 50)
    poor = state is CanaryState.INCONCLUSIVE
    results = (
        CheckResult(
            "error_rate",
            Verdict.INCONCLUSIVE if poor else Verdict.PASS,
            (
                "error_rate 0.0008, 14 requests: fewer than 20"
                if poor
                else "error_rate 0.0008, 2412 requests; allowed at most 0.01"
            ),
            0.0008,
            None,
            limit=0.01,
            rows=14 if poor else 2412,
        ),
        CheckResult(
            "latency_p95",
            Verdict.INCONCLUSIVE if poor else Verdict.PASS,
            "latency_p95 0.0094, before 0.0088",
            0.0094,
            0.0088,
            limit=0.01056,
            rows=14 if poor else 2412,
        ),
    )
    message = {
        CanaryState.RUNNING: "",
        CanaryState.PAUSED: "paused by anna from 10.0.0.7: waiting for the evening's traffic",
        CanaryState.INCONCLUSIVE: "inconclusive at 25 %: a person decides",
        CanaryState.ASKS: "fail at 25 %: latency_p95 0.0214, before 0.0088, 2412 requests; allowed at most 0.01056",
    }[state]
    return CanaryStatus(
        9,
        "production",
        4,
        3,
        stage,
        weights,
        weights[stage],
        state,
        now - 47,
        now + 73 if state is CanaryState.RUNNING else None,
        results,
        Verdict.INCONCLUSIVE if poor else Verdict.PASS,
        message,
        15,
    )


def trouble(cockpit: SeededCockpit, *, now: float = NOW) -> None:
    """One replica was killed for its memory, one fails its health check, one was removed by hand."""
    snapshot = cockpit.journal.snapshots.get("production")
    assert snapshot is not None
    one, two, *rest = snapshot.containers
    found = (
        replace(one, state="exited", health="", exit_code=137, out_of_memory=True, restarts=3),
        replace(two, health="unhealthy", restarts=1),
        *(container for container in rest if container.version != 2),
    )
    cockpit.journal.snapshots.put(replace(snapshot, containers=found))


def unreachable(cockpit: SeededCockpit, *, now: float = NOW) -> None:
    snapshot = cockpit.journal.snapshots.get("production")
    assert snapshot is not None
    cockpit.journal.snapshots.put(
        replace(snapshot, at=now - 95, message="the line to serving-1 is cut: Connection timed out")
    )


def seen_long_ago(cockpit: SeededCockpit, *, now: float = NOW) -> None:
    """Nobody has looked at the engines for ten minutes."""
    for name in ("staging", "production"):
        snapshot = cockpit.journal.snapshots.get(name)
        assert snapshot is not None
        cockpit.journal.snapshots.put(replace(snapshot, at=now - 600))
