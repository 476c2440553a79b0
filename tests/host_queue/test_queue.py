"""Who is next on this machine, between processes: real files, real locks, real kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.host_queue import queue
from podium.core.host_queue.queue import Given, HostQueue, claims_in, directory
from podium.core.host_queue.resources import Wanted

from tests.support import wait_until

HOLDER = """
import sys
from pathlib import Path
from podium.core.host_queue.queue import HostQueue
from podium.core.host_queue.resources import Wanted
held = HostQueue(Path(sys.argv[1]), "other", 7)
print(held.take("train", Wanted(float(sys.argv[2]))), flush=True)
sys.stdin.read()
"""
Make = Callable[..., HostQueue]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "host.json").write_text(json.dumps({"cpus": 4, "memory": 8 << 30}))
    return tmp_path


@pytest.fixture
def make(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Runs of several workers in one process: each has a file of its own, as if it were one."""
    made: list[HostQueue] = []

    def one(run: int, project: str = "shop") -> HostQueue:
        with monkeypatch.context() as context:
            context.setattr(os, "getpid", lambda: 100_000 + run)
            made.append(HostQueue(place, project, run))
        return made[-1]

    yield one
    for each in made:
        each.close()


def given(found: Given | str) -> bool:
    return isinstance(found, Given)


def test_what_fits_is_admitted_and_what_does_not_says_what_it_waits_for(make: Make) -> None:
    first, second = make(1), make(2, "flights")
    assert given(first.take("train[depth=8]", Wanted(3)))
    assert given(second.take("prep", Wanted()))
    assert second.take("train", Wanted(2)) == (
        "waits for 2 CPUs, in use by run 1 of shop (train[depth=8]), run 2 of flights (prep)"
    )
    first.release("train[depth=8]")
    assert given(second.take("train", Wanted(2)))


def test_asking_again_claims_nothing_more(make: Make) -> None:
    first, second = make(1), make(2)
    assert first.take("a", Wanted(2)) == first.take("a", Wanted(2))
    assert given(second.take("b", Wanted(2)))


def test_the_oldest_comes_first_and_a_big_one_is_not_starved(make: Make) -> None:
    running, big, small = make(1), make(2), make(3)
    assert given(running.take("a", Wanted(2)))
    assert isinstance(big.take("big", Wanted(4)), str)
    words = small.take("small", Wanted(1))
    assert words == "waits for 1 CPU behind run 2 of shop (big), which waits for 4 CPUs"
    running.release("a")
    assert isinstance(small.take("small", Wanted(1)), str), "still behind the big one"
    assert given(big.take("big", Wanted(4)))
    big.release("big")
    assert given(small.take("small", Wanted(1)))


def test_who_asks_for_nothing_that_an_older_one_waits_for_may_pass(make: Make) -> None:
    hoarder, waiting, other, greedy = make(1), make(2), make(3), make(4)
    assert given(hoarder.take("a", Wanted(1, 7 << 30)))
    assert isinstance(waiting.take("b", Wanted(1, 4 << 30)), str)
    assert given(other.take("c", Wanted(1))), "it wants no memory, and there are CPUs for both"
    assert isinstance(greedy.take("d", Wanted(2)), str), "one of the two CPUs is kept for the older one"


def test_what_can_never_fit_is_told_and_keeps_nobody_waiting(make: Make) -> None:
    first, second = make(1), make(2)
    wanted = Wanted(16, 64 << 30, 1)
    assert first.impossible(wanted) == (
        "it asks for 16 CPUs and 64.0 GiB and a GPU, and this machine has 4 CPUs and 8.0 GiB and no GPU that nvidia-smi"
        " finds"
    )
    assert first.impossible(Wanted(4, 8 << 30)) == ""
    first.take("never", wanted)
    assert given(second.take("a", Wanted(4)))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_worker_had_is_free_at_once(place: Path, make: Make, number: signal.Signals) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(place), "4"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout and other.stdin
    try:
        assert "Given" in other.stdout.readline()
        mine = make(1)
        assert mine.take("a", Wanted(1)) == "waits for 1 CPU, in use by run 7 of other (train)"
        other.send_signal(number)
        other.wait()
        assert given(mine.take("a", Wanted(1)))
        assert len(list(place.glob("*-*.json"))) == 1, "its file is gone, too"
    finally:
        other.kill()
        other.wait()
        other.stdin.close()
        other.stdout.close()


def test_one_that_waits_but_was_stopped_is_passed(make: Make, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running, stopped, third = make(1), make(2), make(3)
    assert given(running.take("a", Wanted(4)))
    assert isinstance(stopped.take("b", Wanted(4)), str)
    assert isinstance(third.take("c", Wanted(4)), str)
    running.release("a")
    assert "behind run 2" in str(third.take("c", Wanted(4)))
    file = next(path for path in place.glob("*-100002.json"))
    os.utime(file, (0, 0))
    assert given(third.take("c", Wanted(4)))
    assert isinstance(stopped.take("b", Wanted(4)), str), "it finds out when it goes on"


def test_what_a_step_starts_runs_within_its_claim(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    outer, inner = make(1), make(2)
    claim = outer.take("outer", Wanted(4))
    assert isinstance(claim, Given)
    assert isinstance(inner.take("train", Wanted(2)), str)
    inner.release("train")
    monkeypatch.setenv(queue.CLAIM, claim.claim)
    assert given(inner.take("train", Wanted(2)))
    assert given(inner.take("other", Wanted(3))), "how much of it, is the step's own affair"
    outer.release("outer")
    assert given(inner.take("later", Wanted(4)))
    assert isinstance(make(3).take("a", Wanted(1)), str), "after its end, they claim like all others"


def test_gpus_are_handed_out_one_by_one(make: Make, fake_gpus: Path) -> None:
    first, second, third = make(1), make(2), make(3)
    assert first.take("a", Wanted(1, 0, 1)) == Given(first.take("a", Wanted(1, 0, 1)).claim, ("0",))  # type: ignore[union-attr]
    found = second.take("b", Wanted(1, 0, 1))
    assert isinstance(found, Given) and found.gpus == ("1",)
    assert third.take("c", Wanted(1, 0, 1)) == "waits for a GPU, in use by run 1 of shop (a), run 2 of shop (b)"
    first.release("a")
    found = third.take("c", Wanted(1, 0, 1))
    assert isinstance(found, Given) and found.gpus == ("0",)
    assert "3 GPUs, and this machine has 2 GPUs" in first.impossible(Wanted(1, 0, 3))


def test_who_waits_for_a_gpu_and_cpus_is_not_starved_by_those_that_want_no_gpu(make: Make, fake_gpus: Path) -> None:
    running, big, small, other = make(1), make(2), make(3), make(4)
    assert given(running.take("a", Wanted(2)))
    assert isinstance(big.take("big", Wanted(4, 0, 1)), str)
    assert "behind run 2 of shop (big)" in str(small.take("small", Wanted(1)))
    assert isinstance(other.take("named", Wanted(0, 0, 0, ("0",))), Given)
    assert isinstance(other.take("gpu", Wanted(0, 0, 1)), str), "the other GPU is kept for the older one"


def test_a_file_that_is_just_being_made_is_not_removed_by_a_look(make: Make, place: Path) -> None:
    fresh = place / "0-made-1-77.json"
    fresh.touch()  # as it is before its worker has the lock
    assert make(1).impossible(Wanted()) == "" and claims_in(place) == []
    assert fresh.exists()
    make(1).take("a", Wanted())
    assert not fresh.exists(), "who holds the directory knows that nobody is making it"


def test_a_directory_that_cannot_be_written_admits_everything(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert HostQueue(tmp_path / "file" / "queue", "shop", 1).take("a", Wanted(1)) == Given("")
    assert HostQueue(None, "shop", 1).take("a", Wanted(99999)) == Given("")


def test_a_damaged_file_of_a_living_worker_claims_nothing(make: Make, place: Path) -> None:
    first, second = make(1), make(2)
    assert given(first.take("a", Wanted(4)))
    for path in place.glob("*-*.json"):
        path.write_text('[{"owner": 3}]')
    assert given(second.take("b", Wanted(4)))


def test_where_the_queue_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(queue.SWITCH, "off")
    assert directory() is None
    monkeypatch.setenv(queue.SWITCH, str(tmp_path))
    assert directory() == tmp_path
    monkeypatch.delenv(queue.SWITCH)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(queue, "SYSTEM", tmp_path / "nothing")
    found = directory()
    assert found is not None and found.parent == tmp_path / "state" / "podium" / "queue"
    (tmp_path / "shared").mkdir()
    monkeypatch.setattr(queue, "SYSTEM", tmp_path / "shared")
    assert directory() == tmp_path / "shared"


def test_a_look_changes_nothing(make: Make, place: Path) -> None:
    make(1).take("a", Wanted(2.5))
    wait_until(lambda: [claim.wanted.cpus for claim in claims_in(place)] == [2.5])
    assert [(claim.owner.run, claim.step, claim.running) for claim in claims_in(place)] == [(1, "a", True)]
