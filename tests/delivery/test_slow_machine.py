"""A machine that takes too long to start a replica or HAProxy: that is an error which callers expect."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from podium.core.delivery.host import daemon
from podium.core.delivery.proxy import placement
from podium.core.delivery.proxy.haproxy import ProxyLayout, binary
from podium.core.delivery.proxy.placement import ProcessProxyHost
from podium.core.delivery.proxy.proxy import of_process
from podium.core.domain.project import RequestBounds
from podium.core.errors import Unreachable

from tests.runner.scale import scaled
from tests.support import free_port, processes_of, wait_until


def test_a_process_that_is_not_started_in_time_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its log is a pipe that nobody reads: to open it takes as long as that of a disk that does not answer."""
    monkeypatch.setattr(daemon, "_LAUNCH_TIMEOUT", 0.5)
    log, came = tmp_path / "replica.log", tmp_path / "came"
    os.mkfifo(log)
    command = [sys.executable, "-c", f"open({str(came)!r}, 'w')"]
    with pytest.raises(Unreachable, match=r"cannot start .*: that was not done within 0\.5 s") as caught:
        daemon.start(command, log=log, cwd=tmp_path, env=dict(os.environ))
    assert "disk" in caught.value.hint
    wait_until(lambda: not processes_of(tmp_path), what="nothing is left that nobody knows of")
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(reader, 1) == b"" and not came.exists()
    os.close(reader)


def test_a_proxy_that_is_not_ready_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "_LAUNCH_TIMEOUT", 0.5)
    host = ProcessProxyHost(tmp_path, "staging", 1)
    os.mkfifo(host.path)
    with pytest.raises(Unreachable, match=r"HAProxy was not ready within 0\.5 s"):
        host.start()
    assert not host.alive()


def test_one_instance_that_is_not_ready_keeps_no_other_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "haproxy"
    program.write_text(f'#!/bin/sh\ncase "$*" in */haproxy.cfg\\ *) exec sleep 600 ;; esac\nexec {binary()} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(placement, "binary", lambda: str(program))
    monkeypatch.setattr(placement, "_LAUNCH_TIMEOUT", scaled(2))
    proxy = of_process(tmp_path, "staging")
    try:
        with pytest.raises(Unreachable, match="HAProxy was not ready"):
            proxy.ensure(ProxyLayout("127.0.0.1", free_port(), (), RequestBounds()))
        assert [each.placement.alive() for each in proxy.instances] == [False, True]
    finally:
        proxy.stop()
