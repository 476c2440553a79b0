"""The priority of real steps beside what delivers: nice value, I/O priority and the session's autogroup, as the kernel
has them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from podium.core import plugins, priority
from podium.core.containers.engine.address import Address
from podium.core.domain.capabilities import StepCapabilities
from podium.core.domain.project import ContainerSpec
from podium.core.domain.runs import RunState, StepState
from podium.core.engine.executors.container.create import EngineFacts, host
from podium.core.engine.executors.container.spec import ContainerStepSpec
from podium.core.engine.executors.container.supervisor import _about_weights  # pyright: ignore[reportPrivateUsage]
from podium.core.errors import ConfigError
from podium.core.preload.fingerprint import fingerprint, fingerprints

from tests.engine.lab import Lab

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only nice values elsewhere")

TELL = """
    import os, sys
    from pathlib import Path
    from podium.core.priority import io_priority

    group = Path("/proc/self/autogroup")
    grouped = group.read_text().split()[-1] if group.exists() else "-"
    print(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[16], io_priority(), grouped)
"""
MODULE = """
    import subprocess, sys
    from podium.core import plugins
    from podium.core.domain.capabilities import StepCapabilities

    def tell(context):
        context.log(subprocess.run([sys.executable, "tell.py"], capture_output=True, text=True, check=True).stdout)
        return {}

    def deliver(context):
        return tell(context)

    deliver.capabilities = StepCapabilities(delivers=True)
"""
LAST_BEST_EFFORT = 2 << 13 | 7


@pytest.fixture
def lab(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    lab.write("tell.py", textwrap.dedent(TELL))
    directory = tmp_path / "packages"
    (directory / "told-1.0.dist-info").mkdir(parents=True)
    (directory / "told.py").write_text(textwrap.dedent(MODULE))
    (directory / "told-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: told\nVersion: 1.0\n")
    (directory / "told-1.0.dist-info" / "entry_points.txt").write_text(
        "[podium.steps]\ntold = told:tell\ndelivered = told:deliver\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(directory))
    monkeypatch.syspath_prepend(str(directory))
    return lab


def expected(nice: int) -> tuple[str, str]:
    """(nice, I/O priority) of what is `nice` below this process."""
    now = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = min(19, now + nice)
    return str(wanted), str(LAST_BEST_EFFORT if wanted > now else priority.io_priority())


def autogroup(nice: str) -> str:
    return nice if Path("/proc/self/autogroup").exists() and priority.autogroups() else "0"


@pytest.fixture(autouse=True)
def _as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own machine has a value of its own."""
    monkeypatch.delenv("PODIUM_NICE", raising=False)


def test_the_machine_goes_before_the_file(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.pipeline("one: {run: 'true'}")
    for given, wanted in (("3", 3), ("19", 19), ("", 10), (" 0 ", 0)):
        monkeypatch.setenv("PODIUM_NICE", given)
        assert lab.project.nice == wanted
    for given in ("20", "-1", "high", "1.5", "²", "9" * 5000):
        monkeypatch.setenv("PODIUM_NICE", given)
        with pytest.raises(ConfigError, match=r"PODIUM_NICE is '.*', not a number from 0 to 19"):
            lab.project.nice  # noqa: B018 - reading it loads the file


def said(lab: Lab, run: int, step: str) -> list[list[str]]:
    lines = [line.split() for line in lab.log(run, step).splitlines()]
    return [line for line in lines if len(line) == 3 and line[0].lstrip("-").isdecimal()]


@pytest.mark.parametrize("written", ["", "nice: 0", "nice: 4", "nice: 19"])
def test_a_step_and_everything_that_it_starts_is_below_what_serves_by_as_much_as_is_written(
    lab: Lab, written: str
) -> None:
    tell = f"{sys.executable} tell.py"
    lab.pipeline(f"one: {{run: '({tell}) & wait; {tell}; sh -c \"{tell}; true\"'}}")
    project = lab.write("podium.yaml", f"{written}\n{(lab.home / 'podium.yaml').read_text()}")
    assert project.exists()
    run, _ = lab.run()
    assert run.state is RunState.SUCCEEDED
    nice = int(written.split()[-1]) if written else 10
    mine, io = expected(nice)
    found = said(lab, run.id, "one")
    assert [line[:2] for line in found] == [[mine, io]] * 3
    assert found[-1][2] in ("-", autogroup(mine) if io == str(LAST_BEST_EFFORT) else "0")


def test_many_short_steps_at_once_are_all_below(lab: Lab) -> None:
    lab.pipeline(
        f"cell: {{matrix: {{n: [1, 2, 3, 4, 5, 6, 7, 8]}}, run: '{sys.executable} tell.py; : ${{{{ matrix.n }}}}'}}"
    )
    run, steps = lab.run(jobs=4)
    assert run.state is RunState.SUCCEEDED
    assert {tuple(said(lab, run.id, name)[0][:2]) for name in steps} == {expected(10)}


def test_a_built_in_step_is_below_unless_it_delivers(lab: Lab) -> None:
    lab.pipeline("below: {uses: told}\ndelivers: {uses: delivered}")
    run, steps = lab.run()
    assert {step.state for step in steps.values()} == {StepState.SUCCEEDED}, lab.log(run.id, "below", "oep")
    assert said(lab, run.id, "below")[0][:2] == list(expected(10))
    assert said(lab, run.id, "delivers")[0][:2] == list(expected(0))
    assert said(lab, run.id, "delivers")[0][2] in ("-", "0")


def test_the_steps_of_the_table_that_change_what_serves_are_not_slowed() -> None:
    delivering = {name for name in plugins.TABLE["steps"] if plugins.step_capabilities(name).delivers}
    infrastructure = {"terraform", "cloudformation", "infra-apply"}
    assert delivering == {"deploy", "promote", "rollback", "stop", "start", "repair"} | infrastructure
    assert plugins.step_capabilities("no such step") == StepCapabilities()


def test_a_process_is_started_below_and_this_one_stays_where_it_is() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0), priority.io_priority()
    command = [sys.executable, "-c", "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"]

    def make() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)

    for nice in (3, 7, 3, 0):
        out, _ = priority.starters.start(make, nice).communicate()
        assert int(out) == min(19, before[0] + nice)
    assert (os.getpriority(os.PRIO_PROCESS, 0), priority.io_priority()) == before


def test_what_cannot_be_started_raises_where_it_was_asked_for() -> None:
    with pytest.raises(FileNotFoundError):
        priority.starters.start(lambda: subprocess.Popen(["/no/such/program"]), 5)


def test_a_priority_is_only_ever_lowered() -> None:
    seen: list[tuple[int, int]] = []
    first = min(19, priority.own() + 2)

    def in_a_thread() -> None:
        for nice in (first, first - 1, -20, 30):
            priority.lower(nice)
            seen.append((os.getpriority(os.PRIO_PROCESS, 0), priority.io_priority()))

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert seen == [(first, LAST_BEST_EFFORT)] * 3 + [(19, LAST_BEST_EFFORT)]


def test_what_is_below_may_come_from_a_server_that_is_not() -> None:
    above = fingerprint({})
    names: list[str] = []

    def in_a_thread() -> None:
        priority.lower(priority.below(7))
        names.extend(fingerprints({}))

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert names[0] != above and above in names[1:]
    assert fingerprints({})[0] == above


def container_step(nice: int) -> ContainerStepSpec:
    place = Path("/p")
    return ContainerStepSpec(
        address=Address("unix", path="/run/docker.sock"), project="p", home=place, state=place, root=place, run=1,
        step="one", attempt=1, argv=("true",), env={}, container=ContainerSpec(image="a"), outputs=(),
        stores=("sqlite:///db",), secrets=(), base="", key="", build=(), build_hash="", result=place, log=place,
        worker=1, nice=nice,
    )  # fmt: skip


def test_a_step_in_a_container_has_the_weights_of_its_nice_value() -> None:
    around = EngineFacts(2, rootless=False, remapped=False, copies=True)
    plain, low = host(container_step(0), around), host(container_step(10), around)
    assert "CpuShares" not in plain and "BlkioWeight" not in plain
    assert (low["CpuShares"], low["BlkioWeight"]) == (110, 53)
    assert host(container_step(19), around)["BlkioWeight"] == 10
    assert len(priority.WEIGHTS) == priority.LOWEST + 1


def test_an_engine_that_knows_no_weights_is_not_quoted() -> None:
    assert _about_weights(
        "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
    )
    assert not _about_weights("Your kernel does not support swap limit capabilities. Memory limited without swap.")
