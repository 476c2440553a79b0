"""What `podium show` says of a step's results: what a person looks for, before what only programs compare."""

from __future__ import annotations

import json

from podium.core.domain.runs import PIPELINE, RunState, Step, StepState, Trigger
from podium.core.journal import Journal

from ..conftest import Call

SHA = "sha256:" + "5ba93c9db0cff93f" * 4
RESULTS = {
    "image": {
        "model": "small", "version": 3, "image": f"registry:5000/small@{SHA}", "image_id": SHA, "image_digest": "",
        "model_layer": SHA, "size": 1234, "seconds": 9.123456789,
    },
    "candidate": {
        "model": "small", "version": 3, "mlflow_run": "3a7c2e1f" * 4, "metric": "roc_auc", "value": 0.7386512345,
        "digest": SHA, "exit_code": 0,
    },
    "gate": {"gate": "release", "verdict": "pass", "model": "small", "version": 3, "champion": None, "rows": 1800},
    "production": {
        "environment": "production", "model": "small", "version": 3, "from_version": 2, "digest": SHA,
        "traffic_seconds": 0.61803398875, "warnings": ["one"],
    },
    "own": {"table": "events", "hash": "5ba93c9db0cf"},
}  # fmt: skip
SHOWN = {
    "image": "version=3, model=small, image=registry:5000/small@sha256:5ba93c9db0cf, size=1234, seconds=9.1235",
    "candidate": "version=3, metric=roc_auc, value=0.7387, model=small, mlflow_run=3a7c2e1f3a7c",
    "gate": "version=3, verdict=pass, gate=release, model=small, rows=1800",
    "production": "environment=production, version=3, model=small, from_version=2, traffic_seconds=0.6180",
    "own": "table=events, hash=5ba93c9db0cf",
}


def test_version_verdict_and_metric_come_first_and_no_digest_is_whole(call: Call, journal: Journal) -> None:
    run = journal.runs.create(kind=PIPELINE, name="ok", trigger=Trigger.PERSON, who="anna")
    journal.steps.add(run.id, [Step(run.id, name, place, StepState.PENDING) for place, name in enumerate(RESULTS)])
    for name, results in RESULTS.items():
        journal.steps.update(run.id, name, state=StepState.SUCCEEDED, results=results)
    journal.runs.set_state(run.id, RunState.RUNNING)
    journal.runs.set_state(run.id, RunState.SUCCEEDED)
    rows = [line.split("\t") for line in call("show", "1", "-o", "plain").out.splitlines()]
    assert {row[0]: row[-1] for row in rows} == SHOWN
    whole = {step["name"]: step["results"] for step in json.loads(call("show", "1", "-o", "json").out)["steps"]}
    assert whole == RESULTS, "programs have all of it"
