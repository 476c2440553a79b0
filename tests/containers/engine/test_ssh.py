"""An engine over a real sshd, whose line is cut: noticed, told, and opened again, in the middle of whatever is going
on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.containers.engine.address import parse
from podium.core.containers.engine.connections import close_all, patiently, shared
from podium.core.containers.engine.errors import EngineAway
from podium.core.delivery.environment import healing
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.rollout import carry_out, phases
from podium.core.delivery.rollout.rollout import Rollout
from podium.core.delivery.status import status as environments
from podium.core.domain.delivery import How, ReplicaState

from tests.delivery.docker.docked import Docked
from tests.delivery.light import Load, Verb, replace_phase
from tests.servers import sshd as servers
from tests.support import wait_until

pytestmark = pytest.mark.in_turn(12, of="containers")


@pytest.fixture
def sshd(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[servers.Sshd]:
    missing = servers.missing()
    if missing:
        if os.environ.get("PODIUM_REQUIRE_SERVERS"):
            pytest.fail(missing)
        pytest.skip(missing)
    with servers.Sshd() as made:
        monkeypatch.setenv("PATH", made.path)
        yield made
        close_all()


@pytest.fixture
def docked(tmp_path: Path, engine: Engine, sshd: servers.Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docked]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Docked(tmp_path, engine, host=sshd.address(), replicas=1)
    yield made
    sshd.line.restore()
    made.close()


def status(docked: Docked):
    return environments.status(docked.project, docked.journal, docked.environment)


def test_a_cut_line_is_told_and_opened_again(sshd: servers.Sshd) -> None:
    address = parse(sshd.address())
    assert shared(address).info()["ServerVersion"] and shared(address) is shared(address)
    sshd.line.cut()
    with pytest.raises(EngineAway, match=r"the connection to ssh://.* broke|cannot be reached"):
        for _ in range(50):
            shared(address).info()
            time.sleep(0.02)
    sshd.line.restore()
    said: list[str] = []
    assert patiently(lambda: shared(address).info(), 10.0, said.append)["ServerVersion"]
    assert not said or said[-1] == "the engine answers again"


def ssh_options(engine: Engine) -> dict[str, str]:
    """Returns the `-o` options of the ssh that the line to the engine is."""
    words = Path(f"/proc/{engine._tunnel._process.pid}/cmdline").read_text().split("\0")
    return dict(word.split("=", 1) for before, word in pairwise(words) if before == "-o" and "=" in word)


def test_silence_is_noticed_within_five_seconds(sshd: servers.Sshd) -> None:
    address = parse(sshd.address())
    engine = shared(address)
    assert engine.info()
    options = ssh_options(engine)
    interval, count = (int(options[name]) for name in ("ServerAliveInterval", "ServerAliveCountMax"))
    assert interval * (count + 1) <= 5, "ssh itself notices it: a question each interval, and so many without an answer"
    sshd.line.freeze()
    with pytest.raises(EngineAway, match="broke"):
        engine.info()
    assert not engine.alive, "the line is frozen still: it was given up, and did not come back"


def test_ssh_does_not_outlive_a_process_that_was_killed(sshd: servers.Sshd) -> None:
    program = (
        "import sys, time\nfrom podium.core.containers.engine.address import parse\nfrom"
        " podium.core.containers.engine.connections import shared\nline ="
        " shared(parse(sys.argv[1]))\nprint(line._tunnel._process.pid, line._tunnel.socket.parent,"
        " flush=True)\ntime.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, sshd.address()], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        pid, directory = process.stdout.readline().split()
        assert Path(f"/proc/{pid}/cmdline").read_bytes().count(b"ServerAliveInterval") == 1
        process.send_signal(signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), 5.0, what="ssh ends")
    finally:
        process.kill()
        process.wait()
    assert Path(directory).exists(), "nobody could remove it"
    shared(parse(sshd.address()))
    assert not Path(directory).exists(), "the next one does"


def test_a_version_is_served_from_another_machine(docked: Docked) -> None:
    docked.version(1)
    docked.version(2)
    docked.deploy(1)
    assert docked.answers() == "1" and status(docked).differences == ()
    # A replica, two instances of the proxy, the relay; the proxy's volume and the captures'.
    assert docked.things() == {"containers": 4, "networks": 1, "volumes": 2}
    with Load(docked.port) as load:
        wait_until(lambda: load.total > 20)
        docked.deploy(2)
        back = docked.rollback(1)
        wait_until(lambda: load.total > 200)
    assert load.failures == [], docked.said
    assert "start_seconds" not in back.data, "what was warm had nothing to start before it was given the traffic"
    assert status(docked).differences == ()
    docked.change(port=docked.port)
    environments.stop(docked.project, docked.journal, docked.environment)
    assert docked.things() == {"containers": 0, "networks": 0, "volumes": 0}


def test_nothing_listens_for_orders(docked: Docked) -> None:
    docked.version(1)
    docked.deploy(1)
    [relay] = docked.containers("relay")
    for container in (*docked.containers("proxy"), relay):
        found = docked.engine.inspect(container["Id"])
        assert (
            found["HostConfig"]["ReadonlyRootfs"]
            and found["HostConfig"]["CapDrop"] == ["ALL"]
            and not found["HostConfig"]["PortBindings"]
        )
        assert found["Config"]["User"] == "10001:10001"
    for ending in ("", "-2"):
        made = docked.engine.api.exec_create(
            relay["Id"], ["sh", "-c", f"exec cat /run/podium/proxy/haproxy{ending}.cfg"]
        )
        config = docked.engine.api.exec_start(made["Id"]).decode()
        assert f"stats socket /run/podium/proxy/proxy{ending}.sock mode 600" in config and config.count("bind ") == 1


@pytest.mark.in_turn(1)
@pytest.mark.parametrize("moment", ["started", "healthy", "shifted"])
def test_the_line_is_cut_in_the_middle_of_a_deploy(
    docked: Docked, sshd: servers.Sshd, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    docked.version(1)
    docked.version(2, start=0.5)
    docked.deploy(1)

    def cut(real: Verb) -> Verb:
        def carry_out(rollout: Rollout) -> None:
            sshd.line.cut()
            threading.Timer(1.5, sshd.line.restore).start()
            real(rollout)

        return carry_out

    with Load(docked.port) as load:
        replace_phase(monkeypatch, moment, cut)
        runtime = EnvironmentRuntime(
            docked.project, docked.journal, docked.environment, say=docked.said.append, patience=20.0
        )
        carry_out.carry_out(runtime, docked.order(How.DEPLOY, 2))
        wait_until(lambda: '{"predictions": [2]}' in load.answers)
    assert load.failures == [], docked.said
    assert docked.answers() == "2" and status(docked).differences == ()
    assert any("retrying" in line for line in docked.said) and "the engine answers again" in docked.said


def test_while_the_line_is_cut_status_says_so_and_nothing_is_touched(docked: Docked, sshd: servers.Sshd) -> None:
    docked.version(1)
    docked.deploy(1)
    sshd.line.cut()
    wait_until(lambda: status(docked).replicas[0].state is ReplicaState.UNKNOWN)
    said = len(docked.said)
    now = status(docked)
    assert docked.said[said:] == [], "it does not try again"
    [why] = map(str, now.differences)
    assert "ssh://" in why and "what runs is unknown" in why and now.serving == 1
    with pytest.raises(EngineAway):
        healing.heal_environment(docked.project, docked.journal, docked.environment)
    assert docked.answers() == "1", "what served goes on serving"
    sshd.line.restore()
    wait_until(lambda: status(docked).differences == ())
    assert healing.heal_environment(docked.project, docked.journal, docked.environment) == []
