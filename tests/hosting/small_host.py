"""A Git host in one file: what was told stays in it, whoever is killed meanwhile. It answers as the clients of real ones
do, and can be made to fail before or after it has done what it was asked."""

from __future__ import annotations

import fcntl
import json
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from podium.core.domain.hosts import (
    CommitStatus,
    HostAccount,
    HostComment,
    HostDeployment,
    HostFeature,
    HostPullRequest,
    RateLimit,
    StatusState,
)
from podium.core.errors import NotFound, Unreachable

REPO = "github.com/acme/flight-delay"


class SmallHost:
    """`asked` has the name of every call; `failing` says for each call whether it fails, and `late` whether it has done
    its work by then. A commit is known from the start unless `commits` names those that are."""

    kind = "github"
    name = REPO
    url = f"https://{REPO}"
    clone_url = f"https://{REPO}.git"

    def __init__(self, path: Path, *, login: str = "podium-bot") -> None:
        self._path = path
        self._login = login
        self.missing = {}
        self.asked: list[str] = []
        self.failing: Callable[[str], bool] = lambda _: False
        self.late: Callable[[], bool] = lambda: False
        self.commits: set[str] | None = None
        self.closed = False
        self.rate = RateLimit()
        self.has_tags: dict[str, str] = {}

    @property
    def missing(self) -> Mapping[HostFeature, str]:
        """What it cannot do; a person's token makes no check runs."""
        return {HostFeature.CHECK_RUNS: "an App only", **self._missing}

    @missing.setter
    def missing(self, missing: Mapping[HostFeature, str]) -> None:
        self._missing = missing

    @contextmanager
    def _state(self, call: str) -> Generator[dict[str, Any]]:
        self.asked.append(call)
        fails = self.failing(call)
        late = fails and self.late()
        if fails and not late:
            raise Unreachable(f"{self.name} does not answer: 502")
        with self._path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            state = json.loads(file.read() or '{"statuses": [], "comments": [], "deployments": [], "requests": []}')
            yield state
            file.seek(0)
            file.truncate()
            json.dump(state, file)
        if fails:
            raise Unreachable(f"{self.name} does not answer: the line was cut")

    def close(self) -> None:
        self.closed = True

    def account(self) -> HostAccount:
        return HostAccount(self._login)

    # -- what tests do

    def open_request(self, number: int, sha: str) -> None:
        with self._state("") as state:
            state["requests"] = [each for each in state["requests"] if each[0] != number] + [(number, sha)]

    def comment_as(self, author: str, number: int, body: str) -> None:
        with self._state("") as state:
            state["comments"].append([str(len(state["comments"]) + 1), number, author, body])

    def history(self) -> list[tuple[str, str, str]]:
        """Returns (commit, context, state) of every status that was ever set, in order."""
        with self._state("") as state:
            return [(sha, context, word) for sha, context, word, _ in state["statuses"]]

    # -- the Protocol

    def _known(self, sha: str) -> None:
        if self.commits is not None and sha not in self.commits:
            raise NotFound(f"{self.name} has no commit {sha}")

    def statuses(self, sha: str) -> Sequence[CommitStatus]:
        self._known(sha)
        with self._state("statuses") as state:
            found = {
                row[1]: CommitStatus(row[1], StatusState(row[2]), row[3]) for row in state["statuses"] if row[0] == sha
            }
        return list(found.values())

    def shown(self, state: StatusState) -> StatusState:
        return state

    def set_status(self, sha: str, status: CommitStatus) -> None:
        self._known(sha)
        assert len(status.description) <= 140
        with self._state("set_status") as state:
            state["statuses"].append([sha, status.context, str(status.state), status.description])

    def pull_requests(self) -> Sequence[HostPullRequest]:
        with self._state("pull_requests") as state:
            return [
                HostPullRequest(number, "a change", "mia", sha, "topic", "main") for number, sha in state["requests"]
            ]

    def comments(self, number: int) -> Sequence[HostComment]:
        with self._state("comments") as state:
            return [HostComment(key, body, author) for key, on, author, body in state["comments"] if on == number]

    def create_comment(self, number: int, body: str) -> str:
        with self._state("create_comment") as state:
            state["comments"].append([str(len(state["comments"]) + 1), number, self._login, body])
            return str(len(state["comments"]))

    def update_comment(self, number: int, comment: str, body: str) -> None:
        with self._state("update_comment") as state:
            next(each for each in state["comments"] if each[0] == comment)[3] = body

    def deployments(self, environment: str = "") -> Sequence[HostDeployment]:
        with self._state("deployments") as state:
            return [
                HostDeployment(str(number), row["environment"], row["sha"], StatusState(row["state"]), row["url"])
                for number, row in enumerate(state["deployments"])
                if environment in ("", row["environment"])
            ]

    def create_deployment(self, environment: str, sha: str, *, description: str = "", key: str = "") -> str:
        self._known(sha)
        with self._state("create_deployment") as state:
            rows = state["deployments"]
            for number, row in enumerate(rows):
                if key and row["key"] == key:
                    return str(number)
            rows.append({"environment": environment, "sha": sha, "state": "pending", "url": "", "key": key})
            return str(len(rows) - 1)

    def set_deployment(self, deployment: str, state: StatusState, *, url: str = "", description: str = "") -> None:
        with self._state("set_deployment") as found:
            found["deployments"][int(deployment)].update(state=str(state), url=url)
            found.setdefault("last", {})[found["deployments"][int(deployment)]["environment"]] = int(deployment)

    def tags(self) -> Mapping[str, str]:
        return self.has_tags

    def create_release(self, tag: str, name: str, notes: str) -> str:
        with self._state("create_release") as state:
            state.setdefault("releases", {}).setdefault(tag, [name, notes])
            return f"{self.url}/releases/{tag}"

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nothing here asks a host for {name}")


def faulty(host: SmallHost, seed: int, share: float) -> SmallHost:
    """Makes a share of the calls fail, half of those after they have done their work."""
    lot = random.Random(seed)
    host.failing = lambda call: bool(call) and lot.random() < share
    host.late = lambda: lot.random() < 0.5
    return host
