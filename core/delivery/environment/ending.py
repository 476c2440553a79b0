"""Ends everything that serves an environment: its proxy, all of its replicas, and what they shared."""

from __future__ import annotations

from .runtime import EnvironmentRuntime

STOP_GRACE = 2.0


def runs(runtime: EnvironmentRuntime) -> bool:
    """Returns whether the proxy runs or a replica has a row."""
    return bool(runtime.replicas()) or runtime.proxy.alive()


def end_all(runtime: EnvironmentRuntime) -> list[str]:
    """Ends the proxy and every replica and removes their rows; returns what was ended, in words. The caller holds the
    environment (`lock.py`)."""
    ended = [f"the proxy of {runtime.name}"] if runtime.proxy.stop() else []
    for replica in runtime.replicas():
        runtime.lifecycle.retire([replica], grace=STOP_GRACE)
        ended.append(replica.id)
    # Taking a replica out tells the proxy its new weights, and starts it for that where it does not run.
    runtime.proxy.stop()
    return [*ended, *runtime.driver.teardown()]
