"""A store, and the recorder of a replica that writes what it collects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.labels.store import LabelStore
from podium.core.serving.recorder import Recorder

START = 1_800_000_000.0


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / ".podium"
    path.mkdir()
    return path


@pytest.fixture
def store(state: Path) -> Iterator[LabelStore]:
    with LabelStore.open(state, "production") as opened:
        yield opened


@pytest.fixture
def recorder(state: Path) -> Iterator[Callable[..., Recorder]]:
    """Makes recorders of replicas that write only when they are told to."""
    made: list[Recorder] = []

    def make(name: str = "5200", limit: int = 1 << 20, version: str = "3") -> Recorder:
        directory = state / "environments/production/capture"
        made.append(Recorder(directory, name=name, rate=1.0, limit=limit, requests=True, version=version))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("podium.core.serving.recorder.WRITE_INTERVAL", 3600.0)
        yield make
        for each in made:
            each.close()


def answered(recorder: Recorder, name: str, *predictions: object, at: float = START, status: int = 200) -> None:
    """Adds a request to a recorder, as a replica does."""
    assert recorder.requests is not None
    recorder.requests.add(at, name.encode(), status, json.dumps({"predictions": list(predictions)}).encode())


def captured(
    recorder: Recorder, name: str, rows: list[dict[str, object]], *predictions: object, at: float = START
) -> None:
    """Adds a request of which everything is kept."""
    answered(recorder, name, *predictions, at=at)
    record = {
        "at": at,
        "request_id": name,
        "version": "3",
        "status": 200,
        "content_type": "application/json",
        "input": json.dumps({"dataframe_records": rows}),
        "output": json.dumps({"predictions": list(predictions)}),
    }
    recorder.capture(record, 100)


def told(recorder: Recorder, name: str, truth: object, **more: object) -> None:
    """Adds feedback, as a client sends it."""
    assert recorder.feedback({"received": START + 60, "request_id": name, "truth": truth, **more}, 100)
