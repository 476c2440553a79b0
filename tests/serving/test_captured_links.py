"""What a replica in a container has written is read as it is; a link that it left there is named, not followed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from podium.core.beneath import LinkRefused
from podium.core.errors import PodiumError
from podium.core.serving import captures
from podium.core.serving.image import requirements


def line(number: int) -> str:
    return json.dumps({"at": float(number), "version": "1", "status": 200, "input": str(number), "output": ""}) + "\n"


def test_the_newest_requests_of_all_replicas_are_read(tmp_path: Path) -> None:
    (tmp_path / "capture-a.jsonl").write_text(line(1) + line(3))
    (tmp_path / "capture-b.jsonl").write_text(line(2) + "{cut off")
    (tmp_path / "feedback.jsonl").write_text(line(9))
    found = captures.newest(tmp_path, limit=2)
    assert (found.found, [each.body for each in found.chosen]) == (3, [b"2", b"3"])
    assert captures.newest(tmp_path, limit=5, after=2.0).found == 1
    assert captures.newest(tmp_path / "none", limit=5).found == 0


@pytest.mark.parametrize("at", ["1" + "0" * 400, "1e400", "-1", "1e300", "NaN", "null", "[]"])
def test_a_request_of_no_time_is_passed_over(tmp_path: Path, at: str) -> None:
    """A container may have written anything; a replay says from when to when its requests are."""
    (tmp_path / "capture-a.jsonl").write_text(line(1) + line(2).replace("2.0", at))
    assert [each.body for each in captures.newest(tmp_path, limit=5).chosen] == [b"1"]


def test_a_capture_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "host.jsonl").write_text(line(7))
    (tmp_path / "captures").mkdir()
    (tmp_path / "captures/capture-a.jsonl").symlink_to(tmp_path / "host.jsonl")
    with pytest.raises(LinkRefused, match=r"capture-a\.jsonl' is a link to"):
        captures.newest(tmp_path / "captures", limit=5)
    (tmp_path / "captures/capture-a.jsonl").unlink()
    os.mkfifo(tmp_path / "captures/capture-a.jsonl")
    with pytest.raises(PodiumError, match="not a file"):
        captures.newest(tmp_path / "captures", limit=5)


def test_a_models_list_of_requirements_is_not_read_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "host.txt").write_text("hush==1")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/requirements.txt").symlink_to(tmp_path / "host.txt")
    with pytest.raises(LinkRefused):
        requirements._read(tmp_path / "model/requirements.txt")
    (tmp_path / "model/other.txt").write_bytes(b"a==1\r\nb==2\r\n")
    assert requirements._read(tmp_path / "model/other.txt") == "a==1\nb==2\n"
