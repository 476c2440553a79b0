"""Verifies a new version: with its own input example before it gets traffic, and through the proxy afterwards."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ...domain.delivery import Replica
from ...domain.frozen import Frozen
from ...domain.text import clean
from ...errors import PodiumError, RunFailed
from ...serving import captures
from ...telemetry.windows import Reading, window
from ..environment.elsewhere import elsewhere
from ..environment.front import own_ways
from ..environment.lifecycle import at_hosts
from ..environment.runtime import EnvironmentRuntime
from ..proxy.transport import get_json
from . import analysis

# MLflow writes this file beside a model that was logged with an input example.
INPUT_EXAMPLE = "serving_input_example.json"
WARM_UP_ROUNDS = 3
FIRST_ANSWER_TIMEOUT = 30.0
# Of what goes through the proxy and predicts nothing.
_ANSWER_TIMEOUT = 10.0
# A replica keeps nothing of what has this query (core/serving/app.py).
_WARM_UP_PATH = "/invocations?warm-up"
_NOTHING = "the model has no input example, and no request was captured"
# A new version that answers more than this share of at least so many live requests with errors is undone.
MIN_REQUESTS, MAX_ERROR_SHARE = 20, 0.5


def example(files: Path) -> bytes | None:
    """Returns the input example of a version's files, None where it has none."""
    try:
        return (files / INPUT_EXAMPLE).read_bytes()
    except OSError:
        return None


class Question(Frozen):
    """What a new replica has to predict before it gets traffic; `words` is what errors call it. An own example has to
    be answered with 200; a request that another version answered may be refused, but not fail."""

    body: bytes
    words: str
    own: bool

    def passes(self, status: int) -> bool:
        return status == 200 if self.own else status < 500


def question(runtime: EnvironmentRuntime, files: Path) -> Question | None:
    """Returns the input example of a version's files, else one of the last requests that the environment captured on
    this machine; None if there is neither."""
    body = example(files)
    if body is not None:
        return Question(body, "its own input example", own=True)
    if elsewhere(runtime.project, runtime.environment):
        return None  # all that was captured would be copied here, gigabytes, in every rollout
    try:
        captured = captures.last(runtime.driver.captures())
    except (PodiumError, OSError) as error:
        runtime.say(f"warm-up: captured requests cannot be read: {error}")
        return None
    return Question(captured.body, "the last captured request", own=False) if captured is not None else None


def warm_up(runtime: EnvironmentRuntime, replicas: Sequence[Replica], files: Path) -> str:
    """Sends a few predictions to each, so that no client waits for the first one, and none gets what cannot predict;
    returns what was done, in words.

    RunFailed, with the answer and the replica's log, when the model loads but cannot predict.
    """
    asked = question(runtime, files)
    if asked is None:
        where = " on this machine" if elsewhere(runtime.project, runtime.environment) else ""
        return f"nothing to predict with: {_NOTHING}{where}: only /ping was asked"
    transport = runtime.transport

    def predict(replica: Replica) -> tuple[int, bytes] | OSError:
        """Returns the last answer, which is the first bad one, or why there was none."""
        status, answer = 0, b""
        for _ in range(WARM_UP_ROUNDS):
            try:
                status, answer = transport.http(
                    replica.address, replica.port, "POST", _WARM_UP_PATH, body=asked.body, timeout=FIRST_ANSWER_TIMEOUT
                )
            except OSError as error:
                return error
            if not asked.passes(status):
                break
        return status, answer

    def judge(replica: Replica, found: tuple[int, bytes] | OSError) -> None:
        if isinstance(found, OSError) and runtime.traffic.apart:  # its node may have been lost a moment ago
            runtime.lifecycle.wait_healthy([replica.id])
            found = predict(next(row for row in runtime.replicas(replica.version) if row.id == replica.id))
        _ensure_answered(runtime, replica, asked, found)

    at_hosts(replicas, predict, judge)
    return f"{WARM_UP_ROUNDS} predictions of {asked.words} on each of {len(replicas)} replicas"


def _ensure_answered(
    runtime: EnvironmentRuntime, replica: Replica, asked: Question, found: tuple[int, bytes] | OSError
) -> None:
    if isinstance(found, OSError):
        report = runtime.lifecycle.failure_report(replica)
        text = f"{replica.id} does not answer {asked.words}: {found}.{report}"
        raise RunFailed(text, hint=runtime.lifecycle.log_hint(replica)) from found
    status, answer = found
    if not asked.passes(status):
        # The answer to a captured request may repeat a user's data: it is in the replica's log or nowhere.
        told = f": {clean(answer[:400].decode('utf-8', 'replace'))}" if asked.own else "."
        report = runtime.lifecycle.failure_report(replica)
        raise RunFailed(
            f"{replica.id} answers {asked.words} with {status}{told}{report}",
            hint=runtime.lifecycle.log_hint(replica),
        )


def watch(runtime: EnvironmentRuntime, replicas: Sequence[Replica], before: Reading, *, seconds: float) -> None:
    """Watches for a moment how the new version answers live traffic. RunFailed when most of its answers are errors."""
    deadline = time.monotonic() + seconds
    slots = [replica.slot for replica in replicas]
    while True:
        seen = window(before, analysis.read(runtime), slots)
        if seen.requests >= MIN_REQUESTS and seen.errors > seen.requests * MAX_ERROR_SHARE:
            first = replicas[0]
            text = (
                f"version {first.version} answered {seen.errors} of its first {seen.requests} requests with"
                f" errors.{runtime.lifecycle.failure_report(first)}"
            )
            raise RunFailed(text, hint=runtime.lifecycle.log_hint(first))
        if seen.requests >= MIN_REQUESTS or time.monotonic() > deadline:
            return
        time.sleep(0.05)


def verify(runtime: EnvironmentRuntime, version: int) -> str:
    """Asks through the proxy which version answers; returns what was done, in words. RunFailed when an answer is not
    by `version`."""
    ways = own_ways(runtime)
    times = max(5, 3 * runtime.environment.replicas, 2 * len(runtime.environment.hosts))
    for turn in range(times):
        door = ways[turn % len(ways)]
        try:
            answer = get_json(
                runtime.transport,
                door.address,
                runtime.environment.port,
                "/version",
                unix=door.unix,
                timeout=_ANSWER_TIMEOUT,
            )
            found = answer.get("version")
        except OSError as error:
            if door.host in runtime.driver.absent():
                continue
            raise RunFailed(
                f"{runtime.name} does not answer on port {runtime.environment.port}: {error}",
                hint=f"see {runtime.directory}",
            ) from error
        if str(found) != str(version):
            raise RunFailed(
                f"{runtime.name} answers with version {found}, not {version}", hint="`podium status` says what runs"
            )
    there = (*runtime.running(version), *runtime.unknown(version), *runtime.displaced(version))
    running = len({row.id for row in there})
    if running < runtime.environment.replicas:
        raise RunFailed(
            f"{running} of {runtime.environment.replicas} replicas of version {version} run",
            hint=f"see the logs in {runtime.directory}",
        )
    return f"{times} requests through the proxy were all answered by version {version}"
