"""Children of a real preloading server, beside those of a new interpreter."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from podium.core import priority
from podium.core.engine import orphans
from podium.core.engine.executors.preloaded import PreloadedExecution
from podium.core.identity.processes import bears, started_at
from podium.core.preload import client
from podium.core.preload import server as server_module
from podium.core.preload.client import Process, start_detached
from podium.core.preload.fingerprint import fingerprint, server_environment
from podium.core.preload.piped import Piped, run
from podium.core.preload.protocol import Child

from tests.runner.scale import scaled
from tests.support import wait_until

HERE = Path(__file__).parent
TOY = "toy_child"

pytestmark = pytest.mark.skipif(not client.supported(), reason="preloading needs Linux")


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of one server for all tests that only use it."""
    made = tmp_path_factory.mktemp("preload")
    made.chmod(0o700)
    return made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """A state directory of the test's own, whose servers end with it."""
    tmp_path.chmod(0o700)
    yield tmp_path
    ended(tmp_path)


def ended(state: Path) -> None:
    for pid in servers(state / "preload"):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(autouse=True)
def _own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uses the server of the test's own state directory rather than the session's."""
    monkeypatch.delenv(client.SWITCH, raising=False)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE), **more}


def child(*arguments: str, descriptors: tuple[int, ...] = (0, 1, 2), **more: Any) -> Child:
    return Child(TOY, arguments, more.pop("env", environment()), more.pop("cwd", "/"), descriptors, **more)


def finished(state: Path, *arguments: str, **more: Any) -> tuple[int, str, str, Process]:
    """Runs a child to its end; returns its exit code, output, error output and the process."""
    (reading, out), (erring, err) = os.pipe(), os.pipe()
    with Path(os.devnull).open() as nothing:
        process = Process(state, child(*arguments, **more), (nothing.fileno(), out, err))
    os.close(out), os.close(err)
    code = process.wait(scaled(60))
    with os.fdopen(reading) as first, os.fdopen(erring) as second:
        return code, first.read(), second.read(), process


def servers(directory: Path) -> list[int]:
    """Returns the pids of the servers of a directory."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").split()
        except OSError:
            continue
        if b"podium.core.preload.server" in words and os.fsencode(directory) in words:
            found.append(int(entry.parent.name))
    return found


def test_a_child_differs_from_a_new_interpreter_only_in_what_is_imported(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o027)
    try:
        env = environment(SECRET="s3cret")
        code, out, _, process = finished(state, "tell", env=env, cwd=str(tmp_path))
        monkeypatch.setenv(client.SWITCH, "off")
        plain_code, plain_out, _, plain = finished(state, "tell", env=env, cwd=str(tmp_path))
    finally:
        os.umask(before)
    assert (code, plain_code) == (0, 0) and process.preloaded and not plain.preloaded
    forked, fresh = json.loads(out), json.loads(plain_out)
    for facts in (forked, fresh):
        assert facts.pop("random")
        facts["descriptors"] = [number for number in facts["descriptors"] if number < 3]
        # A library that the child imports itself may set variables of its own.
        facts["env"] = {name: value for name, value in facts["env"].items() if name in env}
    assert forked.pop("mlflow") and not fresh.pop("mlflow")
    assert forked.pop("threads") == 1 and fresh.pop("threads")
    assert f"-P -m {TOY} tell" in forked.pop("line") and fresh.pop("line")
    forked["ignored"], fresh["ignored"] = ([n for n in f["ignored"] if n != signal.SIGPIPE] for f in (forked, fresh))
    assert forked == fresh
    assert forked["umask"] == 0o027 and forked["session"] and forked["env"]["SECRET"] == "s3cret"


def test_children_have_seeds_of_their_own(state: Path) -> None:
    first, second = (json.loads(finished(state, "tell")[1])["random"] for _ in range(2))
    assert all(one != other for one, other in zip(first, second, strict=True))


def test_a_child_has_the_descriptors_it_was_given_and_no_other(state: Path) -> None:
    reading, writing = os.pipe()
    with Path(os.devnull).open() as nothing:
        out_read, out = os.pipe()
        given = (nothing.fileno(), out, out, writing)
        process = Process(state, child("tell", descriptors=(0, 1, 2, 77)), given)
    os.close(out), os.close(writing)
    assert process.wait(scaled(60)) == 0
    with os.fdopen(out_read) as file:
        found = json.loads(file.read())["descriptors"]
    # One more is the listing itself.
    assert [number for number in found if number != 3] == [0, 1, 2, 77]
    with os.fdopen(reading) as file:
        assert file.read() == "", "closed with the child"


@pytest.mark.parametrize(
    "error", [subprocess.TimeoutExpired("sh", 10), subprocess.CalledProcessError(2, "sh")], ids=["late", "failed"]
)
def test_where_no_server_can_be_started_a_new_interpreter_is(
    own: Path, monkeypatch: pytest.MonkeyPatch, error: subprocess.SubprocessError
) -> None:
    def run_shell(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(client.subprocess, "run", run_shell)
    code, _, _, process = finished(own, "end", "7")
    assert code == 7 and not process.preloaded
    with Path(os.devnull).open("r+") as nothing:
        assert start_detached(own, child("end", "0", detached=True), [nothing.fileno()] * 3) is None


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("end", "0"), 0, ""),
        (("end", "7"), 7, ""),
        (("leave", "3"), 3, ""),
        (("leave", "words"), 1, "words"),
        (("fail",), 1, "ValueError: the child failed"),
        (("die",), -signal.SIGSEGV, ""),
    ],
)
def test_exit_codes_are_those_of_a_new_interpreter(
    state: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, said: str
) -> None:
    found, _, error, process = finished(state, *arguments)
    assert process.preloaded and found == code and said in error
    monkeypatch.setenv(client.SWITCH, "off")
    found, _, error, process = finished(state, *arguments)
    assert not process.preloaded and found == code and said in error


def test_a_module_or_directory_that_is_not_there_is_told(state: Path, tmp_path: Path) -> None:
    code, _, error, _ = finished(state, "tell", cwd=str(tmp_path / "gone"))
    assert code == 126 and "cannot start toy_child" in error


def test_a_child_ends_with_whoever_asked_for_it(state: Path) -> None:
    finished(state, "end", "0")  # the server is there
    starter = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from podium.core.preload.client import Process\n"
        "from podium.core.preload.protocol import Child\n"
        f"child = Child({TOY!r}, ('wait',), {{**os.environ, 'PYTHONPATH': {str(HERE)!r}}}, '/', (0, 1, 2))\n"
        "process = Process(Path(sys.argv[1]), child, (0, 1, 2))\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", starter, str(state)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as asking:
        assert asking.stdout is not None
        pid = int(asking.stdout.readline())
        assert started_at(pid)
        asking.kill()
    wait_until(lambda: started_at(pid) is None, 20.0, what="the child has ended")


def test_signals_reach_a_child_and_its_end_is_told(state: Path) -> None:
    with Path(os.devnull).open() as nothing:
        out_read, out = os.pipe()
        process = Process(state, child("wait"), (nothing.fileno(), out, out))
    os.close(out)
    with os.fdopen(out_read) as file:
        pid = int(file.readline())
        assert wait_until(lambda: process.poll() is None and process.pid, 20.0) == pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(scaled(20)) == -signal.SIGTERM and process.wake is None


def test_a_detached_child_outlives_the_server_and_others_do_not(own: Path) -> None:
    with Path(os.devnull).open() as nothing, (own / "log").open("ab") as file:
        streams = (nothing.fileno(), file.fileno(), file.fileno())
        detached = start_detached(own, child("wait", detached=True, mark="replica-7"), streams)
        attached = Process(own, child("wait"), streams)
    assert detached is not None
    pid, started = detached
    try:
        assert bears(pid, "replica-7") and not bears(pid, "replica"), "from the moment that it is told"
        assert os.getsid(pid) != os.getsid(0) and started_at(pid) == started
        wait_until(lambda: attached.poll() is None and attached.pid, 20.0)
        (server,) = wait_until(lambda: len(found := servers(own / "preload")) == 1 and found, 20.0)
        os.kill(server, signal.SIGKILL)
        assert attached.wait(scaled(20)) == -signal.SIGTERM
        assert started_at(pid) == started
    finally:
        os.kill(pid, signal.SIGKILL)


def test_several_that_need_a_server_at_once_start_one(own: Path) -> None:
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(finished(own, "end", "0")[0])) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 6 and len(servers(own / "preload")) == 1


def test_a_server_ends_when_it_is_idle(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(client.IDLE_SWITCH, "0.5")
    finished(own, "end", "0")
    wait_until(lambda: not servers(own / "preload"), 20.0, what="the idle server has ended")
    assert not list((own / "preload").glob("*.sock"))


def test_a_server_that_is_dismissed_ends_after_its_children(own: Path) -> None:
    out_read, out = os.pipe()
    with Path(os.devnull).open() as nothing:
        process = Process(own, child("wait"), (nothing.fileno(), out, out))
    os.close(out)
    with os.fdopen(out_read) as file:
        pid = int(file.readline())
        (server,) = servers(own / "preload")
        client.dismiss(own)
        threading.Event().wait(server_module._CHECK_INTERVAL + 1.0)  # it has looked at its socket meanwhile
        assert started_at(pid) and started_at(server) and process.poll() is None
        process.end(scaled(20))
        wait_until(lambda: started_at(server) is None, 20.0, what="the server without a socket has ended")


def test_a_request_that_nobody_waits_for_is_not_carried_out(own: Path, tmp_path: Path) -> None:
    finished(own, "end", "0")
    (server,) = servers(own / "preload")
    os.kill(server, signal.SIGSTOP)
    process = Process(own, child("mark", str(tmp_path / "ran")), (0, 2, 2))
    process.send_signal(signal.SIGTERM)
    assert process.poll() == -signal.SIGTERM
    os.kill(server, signal.SIGCONT)
    assert finished(own, "end", "0")[0] == 0, "it goes on with the next"
    assert not (tmp_path / "ran").exists()


def test_an_environment_in_which_no_server_can_fork_is_remembered(own: Path) -> None:
    env = environment(OPENBLAS_NUM_THREADS="4")
    if os.cpu_count() == 1:
        pytest.skip("one processor: OpenBLAS starts no thread")
    code, _, _, process = finished(own, "end", "3", env=env)
    assert code == 3 and not process.preloaded
    wait_until(lambda: list((own / "preload").glob("*.unfit")), 20.0, what="it is noted")
    code, _, _, process = finished(own, "end", "4", env=env)
    assert code == 4 and not process.preloaded and not servers(own / "preload")


def test_sockets_of_servers_that_were_killed_are_taken_away(own: Path) -> None:
    finished(own, "end", "0")
    for number in range(5):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(own / "preload" / f"{number:016x}.sock"))
    assert finished(own, "end", "0", env=environment(TZ="UTC"))[3].preloaded
    assert len(list((own / "preload").glob("*.sock"))) == 2


def test_a_child_that_is_told_later_gets_its_descriptors_when_the_server_is_gone(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setattr(client, "START_TIMEOUT", 0.5)
    directory = own / "preload"
    directory.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(directory / f"{fingerprint(os.environ)}.sock"))
        deaf.listen(8)
        reading, writing = os.pipe()
        os.write(writing, b"from the pipe")
        os.close(writing)
        told = Piped(own, TOY, ["copy", str(reading)], cwd=Path("/"), inherit=(reading,))
        code, out, error = told.communicate("hello\n", scaled(60))
        told.close()
    assert (code, out) == (0, "from the pipe"), error


@pytest.mark.parametrize("broken", ["deaf", "closing", "loose", "file"])
def test_whatever_is_wrong_with_the_server_a_new_interpreter_does_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    directory = tmp_path / "preload"
    directory.mkdir(mode=0o700)
    path = directory / f"{fingerprint(environment())}.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if broken in ("deaf", "closing"):
        listener.bind(str(path))
        listener.listen(8)
    if broken == "deaf":
        monkeypatch.setattr(client, "START_TIMEOUT", 0.5)
    elif broken == "closing":
        threading.Thread(target=lambda: [listener.accept()[0].close() for _ in range(1)], daemon=True).start()
    elif broken == "loose":
        directory.chmod(0o755)
    else:
        directory.rmdir()
        directory.touch()
    with Path(os.devnull).open() as nothing:
        process = Process(tmp_path, child("end", "5"), (nothing.fileno(), 2, 2))
    assert process.wait(scaled(60)) == 5 and not process.preloaded
    listener.close()


def test_a_state_directory_may_be_deep(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 25) / ("path" * 25)
    deep.mkdir(parents=True)
    code, _, _, process = finished(deep, "end", "4")
    ended(deep)
    assert code == 4 and process.preloaded


def test_which_server_is_right_depends_on_what_is_read_at_the_start() -> None:
    plain = {"PATH": "/bin", "LANG": "C.UTF-8"}
    same = [
        {**plain, "MLFLOW_TRACKING_TOKEN": "s3cret"},
        {**plain, "PYTHONUNBUFFERED": "1"},
        {**plain, "PATH": "/usr", "OMP_NUM_THREADS": "4"},
    ]
    other = [{**plain, name: "2"} for name in ("PYTHONPATH", "LD_PRELOAD", "OPENBLAS_NUM_THREADS", "TZ", "LC_ALL")]
    assert {fingerprint(env) for env in same} == {fingerprint(plain)}
    assert len({fingerprint(env) for env in [plain, *other]}) == 6
    assert "MLFLOW_TRACKING_TOKEN" not in server_environment(same[0])


def test_other_limits_need_another_server() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    here = fingerprint({})
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    try:
        assert fingerprint({}) != here
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_child_has_the_priority_of_whoever_asked_for_it_and_its_server_keeps_its_own(state: Path) -> None:
    found: list[tuple[int, str, Process]] = []

    def ask(lowered: int) -> None:
        priority.lower(priority.below(lowered))
        _, out, _, process = finished(state, "tell")
        found.append((priority.own(), out, process))

    there: list[list[int]] = []
    for lowered in (0, 6, 0):
        thread = threading.Thread(target=ask, args=(lowered,))
        thread.start()
        thread.join()
        there.append(sorted(servers(state / "preload")))
    assert [json.loads(out)["nice"] for _, out, _ in found] == [nice for nice, _, _ in found]
    assert all(process.preloaded for _, _, process in found)
    assert there[0] == there[1] == there[2], "no other server was needed"


def test_a_child_that_is_told_something_answers(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    told = Piped(state, TOY, ["tell"], cwd=Path("/"))
    code, out, _ = told.communicate("hello\n", scaled(60))
    told.close()
    assert code == 0 and json.loads(out)["read"] == "hello\n"
    with pytest.raises(subprocess.TimeoutExpired):
        run(state, TOY, ["wait"], cwd=Path("/"), timeout=1.0)


@pytest.fixture(autouse=True, scope="session")
def _ended(state: Path) -> Iterator[None]:
    yield
    ended(state)


def test_a_new_interpreter_is_not_reaped_as_an_orphan(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(client.SWITCH, "off")
    with Path(os.devnull).open() as nothing:
        execution = PreloadedExecution(own, child("end", "3"), nothing.fileno())
    try:
        while os.read(execution.stderr, 1024):
            pass  # its end: nothing of it is left open
        orphans.adopted()
        assert wait_until(execution.poll, 10) == 3
    finally:
        os.close(execution.stdout)
        os.close(execution.stderr)
