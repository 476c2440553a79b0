"""The Jobs REST API of a Ray cluster, as far as steps need it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, BinaryIO, cast
from urllib.parse import quote, urlencode

from ....domain.frozen import Frozen
from ....domain.text import one_line
from ....errors import UNREADABLE, PodiumError, RunFailed, Unreachable
from ....http_client import HttpClient, Limits

FINAL = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
# A submission waits for the head to find room for the job's supervisor.
_LIMITS = Limits(read_seconds=60.0)
# A job that says nothing for longer is asked for its log anew.
_FOLLOW = Limits(read_seconds=600.0)
_HINT = "is the head running, and its dashboard's port reachable from here? `podium cluster` asks it"
_MAX_WORDS = 600


class Job(Frozen):
    """A job at one moment."""

    status: str
    message: str
    node: str
    """The node that it was started on; empty before."""
    code: int | None
    metadata: Mapping[str, str]

    @property
    def over(self) -> bool:
        return self.status in FINAL


class Jobs:
    """Asks one cluster. To be closed."""

    def __init__(self, address: str) -> None:
        self._client = HttpClient(address, subject="the Ray cluster at", hint=_HINT, limits=_LIMITS)
        self._following = HttpClient(address, subject="the Ray cluster at", hint=_HINT, limits=_FOLLOW)

    def close(self) -> None:
        self._client.close()
        self._following.close()

    def get(self, name: str) -> Job | None:
        """Returns the job; None if the cluster has none of that name. Raises Unreachable."""
        answer = self._client.ask("GET", f"/api/jobs/{quote(name)}")
        if answer.status == 404:
            return None
        found = answer.document() if answer.good else None
        if found is None:
            raise Unreachable(f"the Ray cluster answers {answer.status} when asked for the job {name}", hint=_HINT)
        metadata = cast("dict[str, Any]", found.get("metadata") or {})
        code: Any = found.get("driver_exit_code")
        return Job(
            str(found.get("status")),
            one_line(str(found.get("message") or ""))[:_MAX_WORDS],
            str(found.get("driver_node_id") or ""),
            code if isinstance(code, int) else None,
            {str(key): str(value) for key, value in metadata.items()},
        )

    def all(self) -> list[dict[str, Any]]:
        """Returns all jobs, as Ray describes them."""
        answer = self._client.ask("GET", "/api/jobs/")
        try:
            found: Any = json.loads(answer.body) if answer.good else None
        except UNREADABLE:
            found = None
        if not isinstance(found, list):
            raise Unreachable(f"the Ray cluster answers {answer.status} when asked for its jobs", hint=_HINT)
        return [each for each in cast("list[Any]", found) if isinstance(each, dict)]

    def submit(self, request: Mapping[str, Any]) -> None:
        """Submits a job. One that is there already under this name is no error: an answer may have been lost. Raises
        RunFailed with Ray's words if it refuses."""
        answer = self._client.ask("POST", "/api/jobs/", json=dict(request), repeat=True)
        if answer.good or (answer.status in (400, 500) and b"already exists" in answer.body):
            return
        raise RunFailed(f"Ray refuses the job: {_last_line(answer.body)}", hint="correct the step, or see Ray's log")

    def stop(self, name: str) -> None:
        """Has the job end; one that has ended is no error."""
        self._client.ask("POST", f"/api/jobs/{quote(name)}/stop", repeat=True)

    def has_package(self, name: str) -> bool:
        return self._client.ask("GET", f"/api/packages/gcs/{quote(name)}").good

    def upload(self, name: str, content: bytes) -> None:
        """Uploads a package. Raises RunFailed with Ray's words if it refuses."""
        answer = self._client.ask("PUT", f"/api/packages/gcs/{quote(name)}", content=content, repeat=True)
        if not answer.good:
            raise RunFailed(
                f"Ray does not take the run's files ({len(content) >> 20} MiB): {_last_line(answer.body)}",
                hint="keep large files out of the project's directory, or share it with the nodes: ray: {shared: true}",
            )

    def follow(self, name: str, node: str, into: BinaryIO) -> None:
        """Writes the job's whole log, and what comes, until the connection ends; that is not the end of the job."""
        self._log(self._following, "stream", name, node, into)

    def log(self, name: str, node: str, into: BinaryIO) -> None:
        """Writes the job's whole log as it is now."""
        self._log(self._client, "file", name, node, into)

    def ask(self, path: str) -> dict[str, Any]:
        """Returns a document of the dashboard."""
        answer = self._client.ask("GET", path)
        found = answer.document() if answer.good else None
        if found is None:
            raise Unreachable(f"the Ray cluster answers {answer.status} to {path.partition('?')[0]}", hint=_HINT)
        return found

    def _log(self, client: HttpClient, kind: str, name: str, node: str, into: BinaryIO) -> None:
        query = {"node_id": node, "filename": f"job-driver-{name}.log", "lines": "-1"}
        if kind == "stream":  # Ray fails when it is asked how often to look at a log that it is not to follow
            query["interval"] = "0.2"
        answer = client.download(f"/api/v0/logs/{kind}?{urlencode(query)}", into)
        if not answer.good:
            raise Unreachable(f"the Ray cluster answers {answer.status} when asked for the log of {name}", hint=_HINT)


def _last_line(body: bytes) -> str:
    lines = [line for line in body.decode("utf-8", "replace").splitlines() if line.strip(" .^")]
    return one_line(lines[-1] if lines else "no reason given")[:_MAX_WORDS]


def told(error: PodiumError) -> str:
    return f"{error.message}. {error.hint}" if error.hint else error.message
