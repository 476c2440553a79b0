"""What containers use: the files and the streams say the same, and what the engine's own one-shot answer says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.containers.observe.cgroups import Cgroup, Counters
from podium.core.containers.observe.snapshot import take
from podium.core.containers.observe.stats import Stats, Usage, counters, usage
from podium.core.domain.containers import USAGE, Container
from podium.core.domain.watching import Sample
from podium.core.journal import Journal
from podium.core.triggers.containers import samples_of

from tests.containers.yard import Yard
from tests.support import wait_until

Found = Mapping[str, tuple[Container, Usage]]
# Half a core or more, some 30 MB that stay, and packets to whoever.
BUSY = (
    "x=$(head -c 30000000 /dev/zero | sed 's/\\x0/x/g'); while :; do for i in 1 2 3 4 5 6 7 8; do echo $i; done >"
    " /dev/udp/127.0.0.9/9; done"
)
SENDING = "while :; do echo some-text-to-nobody > /dev/udp/{gateway}/9; sleep 0.005; done"


@pytest.fixture
def yard(tmp_path: Path, engine: Engine, shell_image: str) -> Iterator[Yard]:
    made = Yard(tmp_path, engine, shell_image)
    yield made
    made.close()


@pytest.fixture(params=[True, False], ids=["files", "streams"])
def measured(request: pytest.FixtureRequest, yard: Yard) -> Iterator[Callable[[], list[Found]]]:
    """Start measuring what runs now; what was found so far."""
    found: list[Found] = []
    made: list[Stats] = []

    def begin() -> list[Found]:
        if not made:
            made.append(Stats(yard.engine, found.append, local=request.param))
        made[0].see(take(yard.engine, yard.project, yard.environment))
        return found

    yield begin
    for each in made:
        each.close()
    assert not any(each._thread.is_alive() for each in made)


def test_cpu_memory_and_network_once_a_second(yard: Yard, measured: Callable[[], list[Found]]) -> None:
    busy = yard.run("busy", ["bash", "-c", BUSY])
    gateway = yard.engine.inspect(busy)["NetworkSettings"]["Gateway"]
    idle, sending = yard.run("idle"), yard.run("sending", ["bash", "-c", SENDING.format(gateway=gateway)])
    found = measured()

    def latest() -> dict[str, Usage]:
        return {identity: each for identity, (_, each) in found[-1].items()} if len(found) >= 3 else {}

    def as_they_are(used: dict[str, Usage]) -> bool:
        """A machine that is busy with something else gives a container less than it asks for, now and then."""
        return len(used) == 3 and used[busy].cpu > 0.05 and used[busy].memory > 25e6 and used[sending].sent > 500

    used = wait_until(lambda: (now := latest()) and as_they_are(now) and now, 15.0)
    assert used[busy].cpu < 1.2 and used[idle].cpu < 0.05
    assert used[idle].memory < 10e6 and used[idle].sent < 500
    told = yard.engine.api.stats(idle, stream=False)
    once = counters(json.dumps(told).encode())
    assert once is not None and abs(once.memory - used[idle].memory) < 2e6


def test_containers_come_end_and_are_started_again(yard: Yard, measured: Callable[[], list[Found]]) -> None:
    one = yard.run("a")
    found = measured()
    wait_until(lambda: found and set(found[-1]) == {one}, 10.0)
    two = yard.run("b")
    measured()
    wait_until(lambda: set(found[-1]) == {one, two}, 10.0)
    yard.engine.api.restart(one, timeout=1)
    measured()
    count = len(found)
    wait_until(lambda: any(set(each) == {one, two} for each in found[count:]), 10.0)
    assert all(used.cpu >= 0 and used.sent >= 0 for each in found for _, used in each.values())
    for each in (one, two):
        yard.engine.api.remove_container(each, force=True)
    measured()
    time.sleep(1.2)
    count = len(found)
    time.sleep(1.5)
    assert len(found) == count, "nothing is measured while nothing runs"


def test_samples_of_each_container_and_of_the_environment(yard: Yard) -> None:
    a, b, proxy = (
        Container(name, name, "production", role, "running", 0.0, replica=replica)
        for name, role, replica in (
            ("1", "replica", "production-v1-1"),
            ("2", "replica", "production-v1-2"),
            ("front", "proxy", ""),
        )
    )
    found = {each.id: (each, Usage(0.5, 100.0, 1.0, 2.0)) for each in (a, b, proxy)}
    samples = samples_of("production", found, 1000.0)
    assert (
        Sample("production", "cpu", 1000.0, 1.0) in samples and Sample("production", "memory", 1000.0, 200.0) in samples
    )
    assert {each.signal for each in samples if each.environment == "production/front"} == set(USAGE)
    with Journal.open(yard.project.state / "journal.db") as journal:
        journal.samples.add(samples)
        journal.samples.compact(1000.0 + 2 * 86_400)
        kept = {
            name: journal.samples.series(name, "cpu", start=0.0, end=2000.0, points=200)
            for name in ("production", "production/front")
        }
        assert any(kept["production"].values) and not any(kept["production/front"].values), (
            "a container's are kept for a day"
        )


def test_rates_are_differences_and_a_restart_is_no_negative_one() -> None:
    first = Counters(10.0, 5.0, 1000, 100, 200)
    assert usage(None, first) is None
    assert usage(first, Counters(12.0, 6.0, 500, 300, 200)) == Usage(0.5, 500.0, 100.0, 0.0)
    assert usage(first, Counters(12.0, 1.0, 500, 300, 200)) is None
    assert usage(first, Counters(10.0, 6.0, 500, 300, 200)) is None
    assert counters(b"not json") is None and counters(b'{"read": "0001-01-01T00:00:00Z"}') is None


def layout(root: Path, identity: str, *, version: int) -> None:
    """The files of one container in a small copy of /proc and /sys, as the kernel writes them."""
    group = f"/docker/{identity}" if version == 1 else f"/system.slice/docker-{identity}.scope"
    mounts = (
        "30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw -"
        " cgroup cgroup rw,cpu,cpuacct\n"
        if version == 1
        else "30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
    )
    groups = f"4:memory:{group}\n3:cpu,cpuacct:{group}\n0::/\n" if version == 1 else f"0::{group}\n"
    files = {
        "proc/self/mountinfo": mounts,
        "proc/77/cgroup": groups,
        "proc/77/net/dev": "Inter-|\n face |\n    lo: 9 9 0 0 0 0 0 0 9 9\n  eth0: 1000 5 0 0 0 0 0 0 2000 6\n",
    }
    if version == 1:
        files |= {
            f"sys/fs/cgroup/cpu,cpuacct{group}/cpuacct.usage": "2500000000\n",
            f"sys/fs/cgroup/memory{group}/memory.usage_in_bytes": "5000\n",
        }
        files |= {f"sys/fs/cgroup/memory{group}/memory.stat": "inactive_file 1\ntotal_inactive_file 2000\n"}
    else:
        files |= {
            f"sys/fs/cgroup{group}/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
            f"sys/fs/cgroup{group}/memory.current": "5000\n",
        }
        files |= {f"sys/fs/cgroup{group}/memory.stat": "anon 1\ninactive_file 2000\n"}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for pid, space in ((1, "net:[1]"), (77, "net:[77]")):
        path = root / "proc" / str(pid) / "ns" / "net"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(space)


@pytest.mark.parametrize("version", [1, 2])
def test_both_layouts_of_cgroups(tmp_path: Path, version: int) -> None:
    layout(tmp_path, "a" * 64, version=version)
    found = Cgroup("a" * 64, 77, root=tmp_path).read()
    assert (found.cpu, found.memory, found.received, found.sent) == (2.5, 3000, 1000, 2000)
    with pytest.raises(LookupError, match="not in a group"):
        Cgroup("b" * 64, 77, root=tmp_path)
    with pytest.raises(LookupError):
        Cgroup("a" * 64, 78, root=tmp_path)
