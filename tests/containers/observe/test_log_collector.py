"""Logs of containers in files: whole, in order, none lost and none doubled, whatever is cut, killed or turned over
in between."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.containers.observe.log_collector import LogKeeper, read_all
from podium.core.containers.observe.log_file import LogPosition, LogStore, Parser
from podium.core.containers.observe.snapshot import take
from podium.core.containers.observe.watcher import Watch
from podium.core.delivery.environment.replica_logs import LogFollower
from podium.core.domain.containers import EngineSnapshot
from podium.core.errors import NotFound, Unreachable
from podium.core.journal import Journal
from podium.core.logs.masking import encoded
from podium.core.logs.reader import LogFile

from tests.containers.gate import Gate
from tests.containers.yard import Yard
from tests.support import wait_until


def keeper(yard: Yard, directory: Path, engine: Engine | None = None) -> LogKeeper:
    return LogKeeper(engine or yard.engine, lambda each: directory / f"{each.replica}.log", secrets=("hush-hush",))


def snapshot(yard: Yard) -> EngineSnapshot:
    return take(yard.engine, yard.project, yard.environment)


def texts(path: Path) -> list[str]:
    log = LogFile(path)
    return [line.text for line in log.lines(0, 1_000_000)]


def test_streams_times_secrets_long_lines_and_the_end(yard: Yard, tmp_path: Path) -> None:
    script = (
        "echo out; echo err >&2; printf 'no end'; echo; echo key=hush-hush; head -c 40000 /dev/zero | sed 's/\\x0/x/g';"
        " echo; echo last; exit 3"
    )
    before = time.time()
    yard.run("a", script)
    kept = keeper(yard, tmp_path)
    wait_until(lambda: snapshot(yard).containers[0].state == "exited")
    kept.see(snapshot(yard))
    wait_until(kept.caught_up)
    kept.close()
    log = LogFile(tmp_path / "a.log")
    lines = log.lines(0, 100)
    assert (
        sorted(line.text for line in lines if not line.continues)[:2] == ["err", "key=***"]
        and "hush" not in (tmp_path / "a.log").read_text()
    )
    assert [line.stream for line in lines if line.text in ("out", "err")].count("e") == 1
    long = [line for line in lines if line.text.startswith("x")]
    assert "".join(line.text for line in long) == "x" * 40000 and [line.continues for line in long] == [True] * (
        len(long) - 1
    ) + [False]
    assert [line.text for line in lines if line.stream == "o"][-1] == "last" and all(
        line.at and before - 1 <= line.at <= time.time() + 1 for line in lines
    )
    assert (tmp_path / "a.log").stat().st_mode & 0o777 == 0o600


def test_whoever_comes_later_goes_on_where_the_file_ends(yard: Yard, tmp_path: Path) -> None:
    """Killed in the middle, with half a line written, again and again."""
    one = yard.run("a", "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done; exec sleep 1000")
    path = tmp_path / "a.log"
    for _ in range(5):
        kept = keeper(yard, tmp_path)
        kept.see(snapshot(yard))
        wait_until(lambda: path.exists() and path.stat().st_size)
        kept.close()
        with path.open("r+b") as file:  # as a process leaves it that is killed while it writes
            file.truncate(max(0, path.stat().st_size - 7))
    assert read_all(yard.engine, one, path)
    wait_until(lambda: read_all(yard.engine, one, path) and texts(path)[-1:] == ["2999"])
    assert texts(path) == [str(number) for number in range(3000)]
    before = path.stat().st_size
    assert read_all(yard.engine, one, path) and path.stat().st_size == before


def test_across_cuts_and_a_restart_nothing_is_lost_or_doubled(yard: Yard, gate: Gate, tmp_path: Path) -> None:
    one = yard.run("a", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done")
    made: list[LogKeeper] = []

    def companion(engine: Engine) -> LogKeeper:
        made.append(keeper(yard, tmp_path, engine))
        return made[-1]

    watch = Watch(yard.project, yard.environment, lambda _: None, companions=(companion,)).start()
    path = tmp_path / "a.log"
    try:
        for _ in range(3):
            size = len(texts(path))
            wait_until(lambda size=size: len(texts(path)) > size + 20)
            gate.drop()
        yard.engine.api.restart(one, timeout=1)
        wait_until(lambda: texts(path).count("20") == 2, 15.0, what="its second life")
    finally:
        watch.close()
    found = texts(path)
    second = len(found) - found[::-1].index("0") - 1
    assert found[:second] == [str(number) for number in range(second)]
    assert found[second:] == [str(number) for number in range(len(found) - second)]
    assert len(made) > 1, "it was cut"


def test_a_follower_ends_when_it_is_told_to_and_when_the_container_goes(yard: Yard, tmp_path: Path) -> None:
    one = yard.run("a")
    kept = keeper(yard, tmp_path)
    kept.see(snapshot(yard))
    wait_until(kept.caught_up)
    yard.engine.api.remove_container(one, force=True)
    wait_until(lambda: not kept._followers[one].alive)
    kept.see(snapshot(yard))
    assert kept._followers == {}
    yard.run("b")
    kept.see(snapshot(yard))
    wait_until(kept.caught_up)
    kept.close()
    assert not any(each.alive for each in kept._followers.values())


def test_one_writer_at_a_time_and_the_next_takes_over(yard: Yard, tmp_path: Path) -> None:
    yard.run("a", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done")
    first, second = keeper(yard, tmp_path), keeper(yard, tmp_path)
    first.see(snapshot(yard))
    path = tmp_path / "a.log"
    wait_until(lambda: len(texts(path)) > 10)
    second.see(snapshot(yard))
    wait_until(second.caught_up)
    first.close()
    size = len(texts(path))
    wait_until(lambda: len(texts(path)) > size + 10)
    second.close()
    found = texts(path)
    assert found == [str(number) for number in range(len(found))]


def test_a_file_that_is_full_begins_anew_and_the_place_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with LogStore(path, cap=1000) as store:
        for number in range(100):
            store.write(b"2026-01-01T00:00:00.%03dZ o line\n" % number)
        assert path.stat().st_size < 1100 and Path(f"{path}.1").stat().st_size < 1100
        with pytest.raises(BlockingIOError):
            LogStore(path)
        assert store.place().times[-1] == b"2026-01-01T00:00:00.099" and store.place().newest == 1767225600.099
    path.write_bytes(b"")
    with LogStore(path) as store:
        assert store.place().times, "the end of the file before it"


def test_frames_in_any_pieces_give_the_same_records() -> None:
    def frame(stream: int, text: bytes, at: int) -> bytes:
        content = b"2026-01-01T00:00:00.%09dZ " % at + text
        return bytes((stream, 0, 0, 0)) + len(content).to_bytes(4, "big") + content

    whole = b"".join(
        frame(1 + number % 2, b"x" * number + (b"\n" if number % 5 else b""), number * 700_000) for number in range(200)
    )
    wanted = Parser(LogPosition()).feed(whole)
    for size in (1, 7, 8, 100, 4096):
        parser = Parser(LogPosition())
        assert b"".join(parser.feed(whole[at : at + size]) for at in range(0, len(whole), size)) == wanted
    # Three lines are there already, slightly out of order as two streams may be, one of two in the same millisecond is
    # not.
    times = tuple(b"2026-01-01T00:00:00.%03d" % at for at in (5, 4, 5))
    again = b"".join(
        frame(1, b"%d\n" % number, at) for number, at in enumerate((5_000_000, 4_000_000, 5_000_001, 5_000_002))
    )
    assert Parser(LogPosition(times[1], times)).feed(again) == b"2026-01-01T00:00:00.005Z o 3\n"
    gone = Parser(LogPosition(times[1], times)).feed(again[len(again) // 4 :])
    assert gone.count(b"\n") == 3, "what the engine has lost since must not take other lines with it"
    secret = Parser(LogPosition(), encoded(("hush-hush",)))
    parts = frame(1, b"a hush-", 1) + frame(1, b"hush b\n", 2)
    assert b"hush" not in secret.feed(parts)


def test_a_full_disk_is_told_once_and_what_is_missing_is_read_again(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.run("a", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done")
    said: list[str] = []
    full = True
    write = os.write

    def refuse(handle: int, data: bytes) -> int:
        if full and b"Z o " in bytes(data[:64]):
            raise OSError(28, "No space left on device")
        return write(handle, data)

    monkeypatch.setattr(os, "write", refuse)
    kept = LogKeeper(yard.engine, lambda each: tmp_path / f"{each.replica}.log", say=said.append)
    kept.see(snapshot(yard))
    wait_until(lambda: said)
    full = False
    path = tmp_path / "a.log"
    wait_until(lambda: len(texts(path)) > 80)
    kept.close()
    found = texts(path)
    assert found == [str(number) for number in range(len(found))] and len(said) == 1 and "No space left" in said[0]


def test_all_replicas_as_one_in_the_order_of_time(yard: Yard) -> None:
    with Journal.open(yard.project.state / "journal.db") as journal:
        with pytest.raises(NotFound, match="nothing that runs"):
            nothing = LogFollower(yard.project, journal, yard.environment)
            try:
                nothing.catch_up()
            finally:
                nothing.close()
        for name in ("a", "b", "c"):
            yard.run(name, f"i=0; while [ $i -lt 40 ]; do echo {name}$i; i=$((i+1)); sleep 0.02; done; sleep 1000")
        following = LogFollower(yard.project, journal, yard.environment)
        try:
            following.catch_up()
            assert set(following.files) == {"a", "b", "c"}
            lines = []

            def all_there() -> bool:
                lines.extend(following.read())
                return len(lines) == 120

            wait_until(all_there, 15.0)
        finally:
            following.close()
    times = [line.at for _, line in lines]
    assert times == sorted(times) and {name for name, _ in lines} == {"a", "b", "c"}
    assert [line.text for name, line in lines if name == "b"] == [f"b{number}" for number in range(40)]


def test_an_engine_that_is_away_is_told_where_nothing_was_kept(yard: Yard, gate: Gate) -> None:
    gate.cut()
    with Journal.open(yard.project.state / "journal.db") as journal:
        following = LogFollower(yard.project, journal, yard.environment)
        try:
            with pytest.raises(Unreachable, match="no Docker engine answers"):
                following.catch_up()
        finally:
            following.close()
