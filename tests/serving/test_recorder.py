"""Records are kept in bounded files; what does not fit is counted, never waited for."""

from __future__ import annotations

import json
import resource
import signal
from pathlib import Path

import pytest
from podium.core.serving import recorder
from podium.core.serving.recorder import Recorder
from podium.core.serving.rotated import MAX_FILES, Rotated


def test_the_newest_records_survive_within_the_limit(tmp_path: Path) -> None:
    files = Rotated(tmp_path, "capture", 4_000)
    for number in range(500):
        files.write([b'{"n": %04d}\n' % number])
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == MAX_FILES
    assert sum(path.stat().st_size for path in kept) <= 4_000
    assert files.path(0).read_bytes().endswith(b'{"n": 0499}\n')
    numbers = [int(line[6:10]) for age in range(3, -1, -1) for line in files.path(age).read_text().splitlines()]
    assert numbers == list(range(numbers[0], 500))


def test_a_record_larger_than_a_file_is_kept_whole(tmp_path: Path) -> None:
    files = Rotated(tmp_path, "capture", 40)
    files.write([b"x" * 100 + b"\n", b"y\n"])
    assert [files.path(age).stat().st_size for age in (0, 1)] == [2, 101]


def test_what_there_is_no_room_for_is_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "WRITE_INTERVAL", 3600.0)
    monkeypatch.setattr(recorder, "MAX_PENDING", 3)
    kept = Recorder(tmp_path, name="1", rate=1.0, limit=10_000)
    for number in range(5):
        kept.capture({"n": number}, 10)
    assert not kept.feedback({"request_id": "a", "truth": 1}, 10)
    assert kept.counts == {"captured": 3, "capture_dropped": 2, "feedback": 0, "feedback_refused": 0}
    kept.close()
    assert [json.loads(line)["n"] for line in (tmp_path / "capture-1.jsonl").read_text().splitlines()] == [0, 1, 2]


def test_the_rate_is_a_share(tmp_path: Path) -> None:
    kept = Recorder(tmp_path, name="1", rate=0.25, limit=1_000)
    assert 800 < sum(kept.wanted() for _ in range(4_000)) < 1_200
    kept.rate = 0.0
    assert not any(kept.wanted() for _ in range(100))
    kept.close()


def test_a_full_disk_is_said_once_and_serving_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = Recorder(tmp_path / "gone", name="1", rate=1.0, limit=1_000, requests=True)
    (tmp_path / "gone").rmdir()
    assert kept.requests is not None
    for number in range(1, 4):  # as many as came in a quarter of a second
        for _ in range(number):
            kept.capture({"n": 1}, 10)
            kept.requests.add(1.0, b"a", 200, b"{}")
        kept.flush()
    kept.close()
    said = capsys.readouterr().err
    assert said.count("records lost") == 1 and said.count("requests: lost") == 1, said


def test_a_disk_that_fills_up_tears_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Rotated(tmp_path, "capture", 100_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (25, before[1]))
        with pytest.raises(OSError, match="large"):
            files.write([b'{"n": 1, "x": "a"}\n', b'{"n": 2, "x": "b"}\n'])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    files.write([b'{"n": 3}\n'])
    assert files.path(0).read_bytes() == b'{"n": 1, "x": "a"}\n{"n": 3}\n'
    with files.path(0).open("ab") as file:
        file.write(b'{"n": 4, "x": "a rep')  # lica that was killed
    files.write([b'{"n": 5}\n'])
    assert [json.loads(line)["n"] for line in files.path(0).read_text().splitlines() if line.endswith("}")] == [1, 3, 5]


def test_a_record_that_would_fill_a_file_is_dropped_and_counted(tmp_path: Path) -> None:
    kept = Recorder(tmp_path, name="1", rate=1.0, limit=4_000)
    kept.capture({"input": "x" * 2_000}, 2_000)
    kept.capture({"input": "y"}, 10)
    kept.close()
    assert kept.counts == {"captured": 1, "capture_dropped": 1, "feedback": 0, "feedback_refused": 0}
    assert [json.loads(line)["input"] for line in (tmp_path / "capture-1.jsonl").read_text().splitlines()] == ["y"]
