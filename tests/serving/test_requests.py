"""A replica keeps a line of every request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.serving import requests, scoring
from podium.core.serving.app import App
from podium.core.serving.options import Options, parse
from podium.core.serving.recorder import Recorder
from podium.core.serving.requests import RequestLog
from podium.core.serving.rotated import Rotated

from tests.serving.conftest import Pair

JSON = {"content-type": "application/json"}


@pytest.fixture
def replica(saved: dict[str, Path], pair: Callable[[str], Pair], tmp_path: Path) -> Iterator[Pair]:
    kept = Recorder(tmp_path, name="1", rate=0.0, limit=1 << 20, requests=True, version="7")
    app = App(Options(saved["sklearn"], 0, version="7"), kept)
    app.ready(scoring.load(saved["sklearn"]))
    yield Pair(app, None, pair("sklearn").loop)
    app.close()


def lines(directory: Path) -> list[list[str]]:
    return [line.split("\t") for line in (directory / "requests-1.tsv").read_text().splitlines()]


def test_every_request_has_a_line(replica: Pair, tmp_path: Path) -> None:
    good = json.dumps(
        {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]}}
    ).encode()
    for number in range(3):
        replica.ask(replica.ours, "POST", "/invocations", good, {**JSON, "x-request-id": f"mine-{number}"})
    answer = replica.ask(replica.ours, "POST", "/invocations", good, JSON)
    replica.ask(replica.ours, "POST", "/invocations", b"{", {**JSON, "x-request-id": "bad"})
    replica.ask(replica.ours, "POST", "/invocations?warm-up", good, JSON)
    replica.ask(replica.ours, "GET", "/ping")
    replica.ours.recorder.flush()
    found = lines(tmp_path)
    assert [line[1] for line in found] == ["mine-0", "mine-1", "mine-2", answer.headers["x-request-id"], "bad"]
    assert {line[2] for line in found} == {"7"} and [line[3] for line in found] == ["200"] * 4 + ["400"]
    assert json.loads(found[3][5]) == answer.json(), "the prediction, as it was answered"
    assert found[4][5] == "", "an error's words are not kept: they may repeat a user's data"
    assert "podium_requests_kept_total 5" in replica.ask(replica.ours, "GET", "/metrics").text


def log(directory: Path, version: str = "3") -> tuple[RequestLog, dict[str, int]]:
    counts: dict[str, int] = {}
    return RequestLog(Rotated(directory, "requests-1", 1 << 20, "tsv"), version, counts), counts


def test_long_answers_are_kept_without_their_prediction(tmp_path: Path) -> None:
    kept, _ = log(tmp_path)
    kept.add(1.0, b"a", 200, b"[" + b"1," * requests.MAX_ANSWER_BYTES + b"1]")
    kept.add(2.0, b"b", 200, b'{"predictions":\n[1]}')
    kept.flush()
    assert [line[5] for line in lines(tmp_path)] == ["", ""]


def test_without_room_requests_are_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_WAITING_BYTES", 100)
    kept, counts = log(tmp_path)
    for number in range(10):
        kept.add(1.0, b"a", 200, b'{"predictions": [%d]}' % number)
    assert kept.flush() == counts["requests_kept"] == 3 and counts["requests_dropped"] == 7
    kept.add(1.0, b"a", 200, b"{}")
    assert kept.flush() == 1, "there is room again"


@pytest.mark.parametrize(("version", "shown"), [("3", "3"), ("", "-"), ("a\tb\n", "-"), ("v1.2", "v1.2")])
def test_no_version_breaks_a_line(tmp_path: Path, version: str, shown: str) -> None:
    kept, _ = log(tmp_path, version)
    kept.add(1.0, b"a", 200, b"{}")
    kept.flush()
    assert lines(tmp_path) == [["1.000", "a", shown, "200", "", "{}"]]


def test_many_lines_are_written_at_once(tmp_path: Path) -> None:
    kept, _ = log(tmp_path)
    for number in range(3000):
        kept.add(float(number), b"a", 200, b'{"predictions": [%d]}' % number)
    kept.flush()
    assert [json.loads(line[5])["predictions"][0] for line in lines(tmp_path)] == list(range(3000))


def test_the_option_comes_from_the_environment(tmp_path: Path) -> None:
    words = ["--model", str(tmp_path), "--port", "0"]
    assert not parse(words, {}).keep_requests
    assert parse(words, {"PODIUM_SERVING_KEEP_REQUESTS": "true"}).keep_requests
    assert not parse([*words, "--no-keep-requests"], {"PODIUM_SERVING_KEEP_REQUESTS": "true"}).keep_requests


def test_what_a_full_disk_loses_is_counted_as_dropped(tmp_path: Path) -> None:
    kept, counts = log(tmp_path)
    (tmp_path / "requests-1.tsv").symlink_to("/dev/full")
    for _ in range(5):
        kept.add(1.0, b"a", 200, b"{}")
    with pytest.raises(OSError, match="No space left"):
        kept.flush()
    assert (counts["requests_kept"], counts["requests_dropped"]) == (0, 5)
    (tmp_path / "requests-1.tsv").unlink()
    kept.add(1.0, b"a", 200, b"{}")
    assert kept.flush() == counts["requests_kept"] == 1 and counts["requests_dropped"] == 5
