"""What others leave where we read it: tags, the lease's commits, a Ray head's jobs, claims of other accounts, statements."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from podium.core.domain.text.format import ago, local, moment
from podium.core.engine.executors.ray import cluster
from podium.core.host_queue import queue
from podium.core.hosting import records
from podium.core.infra.terraform import stream
from podium.core.scm.tags import Tag
from podium.core.signatures import in_toto
from podium.core.triggers import lease

from .running import Subject
from .strange import as_bytes, changed, damaged, documents, written

DEPLOYMENT = {
    "form": 1, "model": "m", "version": 3, "environment": "production", "commit": "c", "at": 1.5, "began": 1.0, "how": "promote",
    "from": 2, "who": "anna", "why": "", "quarantined": [{"version": 1, "commit": "b", "at": 1.0, "who": "w", "why": ""}],
    "after": ["m@v1.0.0", "abc"],
}  # fmt: skip
CLAIM = {
    "owner": ["shop", 1, "anna", 7, "boot"], "step": "train", "place": 1, "wanted": [1.0, 2, 0, ["a"]], "running": True,
    "given": ["0"], "since": 1.5,
}  # fmt: skip
JOB = {
    "submission_id": "s", "status": "RUNNING", "driver_node_id": "n", "metadata": {"project": "p"}, "start_time": 1,
    "message": "m",
}  # fmt: skip
HOOK = {
    "type": "apply_progress", "@message": "x",
    "hook": {"resource": {"addr": "a.b"}, "action": "create", "elapsed_seconds": 3},
}  # fmt: skip
STATEMENT = {
    "subject": [{"name": "m", "digest": {"sha256": "a"}}],
    "predicate": {"buildDefinition": {"externalParameters": {"model": "m", "version": 3}}},
}


def notes() -> dict[str, Subject]:
    return {
        "tags": Subject(_text(DEPLOYMENT), _tag),
        "claims": Subject(_text(CLAIM), _claims),
        "leases": Subject(damaged('["p", "main", "c", "a", "h", 1.5]') | _text(CLAIM), _lease),
        "jobs": Subject(changed(JOB) | documents(tuple(JOB)), _job),
        "statements": Subject(_text(STATEMENT), _statement),
        "events of Terraform": Subject(_text(HOOK), _event),
    }


def _text(example: dict[str, Any]) -> st.SearchStrategy[str]:
    return (changed(example) | documents(tuple(example))).map(written) | damaged(json.dumps(example))


def _tag(text: str | bytes) -> None:
    for name in ("m@v3.0.0", "m#production#1"):
        found = records.judged({name: Tag(name, "t", "c", True, f"x\n\nPodium-Record: {_str(text)}")}, "m")
        for each in found.believed:
            if not each.is_version:
                row = records.deployment_of(each)
                _shown(row.at)
                assert 0 < row.to_version < 2**31


def _claims(text: str | bytes) -> None:
    for each in queue._read(as_bytes(f"[{_str(text)}]"), stopped=False):
        assert 0 <= each.wanted.cpus < float("inf")


def _lease(text: str | bytes) -> None:
    for each in lease._parsed(_str(text)):
        _shown(each.at)


def _job(found: Any) -> None:
    if isinstance(found, dict):
        _shown(cluster._job(found, {}).since)
    cluster._node(found, {})
    list(cluster._demands([found, [found, 1]]))


def _statement(text: str | bytes) -> None:
    content = in_toto.parsed(as_bytes(_str(text)))
    in_toto.subjects(content)
    in_toto.version_of(content)


def _event(text: str | bytes) -> None:
    stream.read(_str(text))


def _shown(at: float | None) -> None:
    ago(at), local(at), moment(at)


def _str(text: str | bytes) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
