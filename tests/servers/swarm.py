"""A Swarm of the engines of `nodes.py`: the first is its only manager.

In a test: `with Swarm(nodes) as swarm: swarm.set_availability(nodes[1], "pause")`. The managers hear of every node once a
second of a quiet machine, so that a test need not wait a quarter of a minute until one is given up."""

from __future__ import annotations

import contextlib
from typing import Any

from docker import APIClient, errors

from tests.runner.scale import scaled
from tests.support import wait_until

from .nodes import Node, Nodes

_HEARTBEAT_SECONDS, _MOST_SECONDS = 1.0, 3.0


class Swarm:
    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self._token = ""

    def __enter__(self) -> Swarm:
        with self._api(self.nodes[0]) as api:
            spec = api.create_swarm_spec(
                dispatcher_heartbeat_period=int(min(scaled(_HEARTBEAT_SECONDS), _MOST_SECONDS) * 1e9)
            )
            api.init_swarm(advertise_addr=self.nodes[0].ip, swarm_spec=spec)
            self._token = api.inspect_swarm()["JoinTokens"]["Worker"]
        for node in self.nodes[1:]:
            self.join(node)
        wait_until(lambda: all(self.answers(node) for node in self.nodes), 30, what="all nodes have joined")
        return self

    def __exit__(self, *_: object) -> None:
        for node in reversed(self.nodes):
            with contextlib.suppress(errors.APIError), self._api(node) as api:
                api.leave_swarm(force=True)

    def join(self, node: Node) -> None:
        with self._api(node) as api:
            api.join_swarm([f"{self.nodes[0].ip}:2377"], self._token, advertise_addr=node.ip)

    @contextlib.contextmanager
    def _api(self, node: Node) -> Any:
        api = APIClient(base_url=f"unix://{node.socket}", version="auto", timeout=scaled(30))
        try:
            yield api
        finally:
            api.close()

    def _seen(self, node: Node) -> dict[str, Any]:
        """Returns what the manager knows of a node; one that was killed may be there twice."""
        with self._api(self.nodes[0]) as api:
            found = [each for each in api.nodes() if each["Description"].get("Hostname") == node.root.name]
        return max(found, key=lambda each: str(each["CreatedAt"]), default={})

    def answers(self, node: Node) -> bool:
        return self._seen(node).get("Status", {}).get("State") == "ready"

    def set_availability(self, node: Node, availability: str) -> None:
        found = self._seen(node)
        with self._api(self.nodes[0]) as api:
            api.update_node(found["ID"], found["Version"]["Index"], {**found["Spec"], "Availability": availability})
