"""Several logs as one, each line handed out once."""

from __future__ import annotations

from pathlib import Path

import pytest
from podium.core.logs import merging
from podium.core.logs.format import written_time
from podium.core.logs.merging import Merged

from tests.support import wait_until


def write(path: Path, *seconds: float) -> None:
    with path.open("ab") as file:
        file.writelines(written_time(second) + f"Z o {path.name} {second:g}\n".encode() for second in seconds)


def drained(merged: Merged, files: dict[str, Path]) -> list[str]:
    found: list[str] = []
    while part := merged.read(files, all=True):
        found += [line.text for _, line in part]
    return found


def test_long_logs_come_in_the_order_of_time_whatever_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "_MAX_BATCH", 10)
    write(tmp_path / "dense", *(100 + number / 100 for number in range(500)))
    write(tmp_path / "sparse", *(100.005 + number for number in range(30)))
    files = {name: tmp_path / name for name in ("dense", "sparse")}
    found = drained(Merged(), files)
    assert len(found) == 530
    assert found == sorted(found, key=lambda text: float(text.split()[1]))


def test_no_more_lines_than_the_bound_wait_and_none_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "MAX_LINES", 50)
    monkeypatch.setattr(merging, "_MAX_BATCH", 20)
    for name in "ab":
        write(tmp_path / name, *range(100, 300))
    merged = Merged(hold_back=3600)
    files = {name: tmp_path / name for name in "ab"}
    found = []
    for _ in range(20):
        found += merged.read(files)
        assert len(merged.entries) <= 50
    assert found, "a full buffer does not wait"
    assert len(found) + len(drained(merged, files)) == 400


def test_a_late_line_comes_in_its_place_and_each_line_once(tmp_path: Path) -> None:
    write(tmp_path / "a", 101, 103)
    merged = Merged(hold_back=0.2)
    files = {name: tmp_path / name for name in "ab"}
    assert merged.read(files) == []
    write(tmp_path / "b", 102)
    found: list[str] = []
    wait_until(lambda: found.extend(line.text for _, line in merged.read(files)) or len(found) == 3)
    assert found == ["a 101", "b 102", "a 103"]
    write(tmp_path / "a", 104)
    assert drained(merged, files) == ["a 104"]


def test_a_tail_and_a_log_that_was_replaced(tmp_path: Path) -> None:
    write(tmp_path / "a", *range(100, 110))
    merged = Merged(tail=2)
    files = {"a": tmp_path / "a"}
    assert drained(merged, files) == ["a 108", "a 109"]
    (tmp_path / "a").rename(tmp_path / "a.1")
    write(tmp_path / "a", *range(120, 140))
    assert len(drained(merged, files)) == 20, "a longer file is read from its start as well"
