"""Does the new version work? Asked with its own input example before it gets traffic, and through the proxy
afterwards."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ...domain.delivery import Replica
from ...errors import RunFailed
from ...logs.text import clean
from ...telemetry.windows import Reading, window
from ..environment.runtime import EnvironmentRuntime
from ..proxy.transport import get_json
from . import analysis

# MLflow writes this file beside a model that was logged with an input example.
_EXAMPLE = "serving_input_example.json"
_ROUNDS = 3
_FIRST_SECONDS = 30.0
# A new version that answers more than half of at least so many live requests with errors is taken out again.
_LEAST, _WORST = 20, 0.5


def example(files: Path) -> bytes | None:
    try:
        return (files / _EXAMPLE).read_bytes()
    except OSError:
        return None


def warm_up(runtime: EnvironmentRuntime, replicas: Sequence[Replica], files: Path) -> str:
    """A few predictions on each, so that the first real request does not pay for them; what was done, in words.

    RunFailed, with the answer and the replica's log, when the model loads but cannot answer its own example.
    """
    body = example(files)
    if body is None:
        return "the model has no input example: only /ping was asked"
    for replica in replicas:
        for _ in range(_ROUNDS):
            try:
                status, answer = runtime.transport.http(
                    replica.address, replica.port, "POST", "/invocations", body=body, timeout=_FIRST_SECONDS
                )
            except OSError as error:
                report = runtime.lifecycle.failure_report(replica)
                text = f"{replica.id} does not answer its own input example: {error}.{report}"
                raise RunFailed(text, hint=runtime.lifecycle.log_hint(replica)) from error
            if status != 200:
                text = clean(answer[:400].decode("utf-8", "replace"))
                report = runtime.lifecycle.failure_report(replica)
                raise RunFailed(
                    f"{replica.id} answers its own input example with {status}: {text}{report}",
                    hint=runtime.lifecycle.log_hint(replica),
                )
    return f"{_ROUNDS} predictions on each of {len(replicas)} replicas"


def watch(runtime: EnvironmentRuntime, replicas: Sequence[Replica], before: Reading, *, seconds: float) -> None:
    """Look for a moment at how the new version answers live traffic. RunFailed when most of its answers are errors."""
    deadline = time.monotonic() + seconds
    slots = [replica.slot for replica in replicas]
    while True:
        seen = window(before, analysis.read(runtime), slots)
        if seen.requests >= _LEAST and seen.errors > seen.requests * _WORST:
            first = replicas[0]
            text = (
                f"version {first.version} answered {seen.errors} of its first {seen.requests} requests with"
                f" errors.{runtime.lifecycle.failure_report(first)}"
            )
            raise RunFailed(text, hint=runtime.lifecycle.log_hint(first))
        if seen.requests >= _LEAST or time.monotonic() > deadline:
            return
        time.sleep(0.05)


def verify(runtime: EnvironmentRuntime, version: int) -> str:
    """Ask through the front door who answers. RunFailed when it is not `version`, every time."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(runtime.environment.bind, runtime.environment.bind)  # noqa: S104 - compared, not bound
    times = max(5, 3 * runtime.environment.replicas)
    for _ in range(times):
        try:
            found = get_json(runtime.transport, host, runtime.environment.port, "/version", timeout=5.0).get("version")
        except OSError as error:
            raise RunFailed(
                f"{runtime.name} does not answer on port {runtime.environment.port}: {error}",
                hint=f"see {runtime.directory}",
            ) from error
        if str(found) != str(version):
            raise RunFailed(
                f"{runtime.name} answers with version {found}, not {version}", hint="`podium status` says what runs"
            )
    running = len(runtime.running(version))
    if running < runtime.environment.replicas:
        raise RunFailed(
            f"{running} of {runtime.environment.replicas} replicas of version {version} run",
            hint=f"see the logs in {runtime.directory}",
        )
    return f"{times} requests through the proxy were all answered by version {version}"
