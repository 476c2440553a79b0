"""`podium shell` on a terminal of the test's own, against the real engine."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from podium.core.cockpit import Cockpit
from podium.core.containers import Engine
from podium.core.containers.engine.labels import home_id
from podium.core.domain.engines.shells import LocalShell
from podium.core.domain.runs import RunState
from podium.core.engine.submit import cancel
from podium.core.errors import NotFound, Refused, UsageError
from podium.tui.external_program import PODIUM

from tests.engine.executors.step_lab import StepLab
from tests.runner.scale import scaled
from tests.support import readable, wait_until


@pytest.fixture
def lab(tmp_path: Path, engine: Engine) -> Iterator[StepLab]:
    lab = StepLab(tmp_path / "project", engine)
    yield lab
    lab.close()


class Terminal:
    """A command on a terminal of 30 lines and 100 columns."""

    def __init__(self, argv: list[str], **env: str) -> None:
        self.main, inner = pty.openpty()
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.before = termios.tcgetattr(self.main)
        environ = {**os.environ, "TERM": "xterm", **env}
        self.process = subprocess.Popen(
            argv,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=environ,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(inner)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.main, text.encode())

    def expect(self, text: str, timeout: float = 20.0) -> str:
        """Everything up to and with `text`; what comes after stays for the next call."""

        def came() -> bool:
            if readable(self.main, seconds=0.1):
                with suppress(OSError):
                    self.seen += os.read(self.main, 65536).decode("utf-8", "replace")
            return text in self.seen

        if text not in self.seen:
            wait_until(came, timeout, what=f"{text!r} on the terminal")
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def close(self) -> int:
        try:
            return self.process.wait(scaled(20))
        finally:
            self.process.kill()
            os.close(self.main)


def failed(lab: StepLab, image: str, *, extra: str = "") -> int:
    lab.pipeline(f"""
a:
  image: {image}
  run: |
    echo "left by the step" >/tmp/trace
    exit 3
{extra}
""")
    run, _ = lab.run()
    assert run.state is RunState.FAILED
    return run.id


def test_a_shell_in_the_container_of_a_failed_step(
    lab: StepLab, shell_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "correct-horse-battery")
    run_id = failed(lab, shell_image, extra='  env: {TOKEN: "${API_TOKEN}", DEPTH: "8"}\n  memory: 64m\n')
    terminal = Terminal(Cockpit(lab.home).runs.shell_command(run_id, "a", program=PODIUM))
    try:
        terminal.expect("a shell in a copy of the container of step a")
        terminal.type("PS1='[$LINES x $COLUMNS]> '; cat /tmp/trace; echo $PODIUM_STEP-$DEPTH-${#TOKEN}-; pwd\n")
        terminal.expect("left by the step\r\n")
        terminal.expect(f"a-8-21-\r\n{lab.home}\r\n")
        (copy,) = [each for each in lab.containers() if each["Labels"]["podium.role"] == "shell"]
        found = lab.engine.inspect(copy["Id"])
        assert found["HostConfig"]["Memory"] == 64 << 20
        assert found["HostConfig"]["CapDrop"] == ["ALL"]
        assert "correct-horse" not in json.dumps(found)
        terminal.expect("[30 x 100]> ")
        terminal.size(40, 120)
        # Ctrl-C goes to what runs in the container, and the keys are echoed once, by the other side.
        terminal.type("echo sleeping; sleep 60; echo interrupted\n")
        terminal.expect("sleep 60; echo interrupted\r\nsleeping\r\n")
        # Not before it sleeps: a key that comes while the shell is still starting it ends neither.
        wait_until(lambda: any("sleep 60" in " ".join(row) for row in lab.engine.api.top(copy["Id"])["Processes"]))
        terminal.type("\x03")
        terminal.expect("^C")
        terminal.expect("[40 x 120]> ")
        terminal.type("touch shell-was-here; exit 5\n")
        assert terminal.close() == 0
    finally:
        terminal.process.kill()
    assert (lab.home / "shell-was-here").exists()
    assert [each["Labels"]["podium.role"] for each in lab.containers()] == ["step"], (
        "the copy is gone, what the step left is still there"
    )
    assert lab.engine.api.images(filters={"label": ["podium.role=shell", f"podium.home={home_id(lab.home)}"]}) == []


def test_the_copy_goes_when_whoever_opened_it_is_killed(lab: StepLab, shell_image: str) -> None:
    terminal = Terminal(Cockpit(lab.home).runs.shell_command(failed(lab, shell_image), "a", program=PODIUM))
    terminal.expect("a shell in a copy")
    terminal.type("echo re''ady\n")
    terminal.expect("ready\r\n")
    terminal.process.kill()
    terminal.close()
    wait_until(
        lambda: [each["Labels"]["podium.role"] for each in lab.containers()] == ["step"], what="the copy is gone"
    )


def test_a_shell_in_a_container_that_runs(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(
        f'a: {{image: "{shell_image}", run: "echo mine >/tmp/trace; while test ! -e go; do sleep 0.05; done"}}'
    )
    run = lab.start()
    lab.running()
    terminal = Terminal(Cockpit(lab.home).runs.shell_command(run.id, "a", program=PODIUM))
    terminal.expect("which runs; leaving it does not end the step")
    terminal.type("cat /tmp/trace; exit\n")
    terminal.expect("mine\r\n")
    assert terminal.close() == 0
    lab.write("go", "")
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED


def test_a_shell_for_a_step_that_was_a_process(lab: StepLab) -> None:
    lab.pipeline('a: {run: "exit 3", env: {DEPTH: "8"}}')
    run, _ = lab.run()
    terminal = Terminal([sys.executable, "-m", "podium.cli", "-C", str(lab.home), "shell", "last"], SHELL="/bin/sh")
    terminal.expect("which ran as a process")
    terminal.type("echo $PODIUM_STEP-$DEPTH-$(pwd); exit 9\n")
    terminal.expect(f"a-8-{lab.home}\r\n")
    assert terminal.close() == 0
    found = Cockpit(lab.home).runs.shell(run.id)
    assert isinstance(found, LocalShell)
    assert (found.directory, found.env["PODIUM_RUN"]) == (lab.home, str(run.id))


def test_why_there_is_no_shell(lab: StepLab, shell_image: str) -> None:
    steps = (
        f'a: {{image: "{shell_image}", run: "true"}}, b: {{uses: deploy, environment: staging, when: "branch =='
        " 'never'\"}"
    )
    lab.write(
        "podium.yaml",
        f"project: lab\npipelines: {{main: {{steps: {{{steps}}}}}}}\nenvironments: {{staging: {{port: 5100}}}}\n",
    )
    run = lab.start()
    lab.finish(run.id)
    cockpit = Cockpit(lab.home)
    with pytest.raises(NotFound, match="nothing is left of the container of step a of run 1"):
        cockpit.runs.shell(run.id, "a")
    with pytest.raises(Refused, match="is a built-in step"):
        cockpit.runs.shell(run.id, "b")
    with pytest.raises(NotFound):
        cockpit.runs.shell(run.id, "c")
    done = subprocess.run(
        [sys.executable, "-m", "podium.cli", "-C", str(lab.home), "shell", "1", "a"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=scaled(20),
        check=False,
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert "a shell needs a terminal" in done.stderr


def test_which_step_is_meant(lab: StepLab) -> None:
    lab.pipeline('a: {run: "exit 3"}\nb: {run: "exit 3"}')
    run, _ = lab.run()
    with pytest.raises(UsageError, match="2 steps of run 1 failed: which one") as caught:
        Cockpit(lab.home).runs.shell(run.id)
    assert caught.value.hint == "name one of: a, b"


def test_a_cancelled_step_leaves_nothing_to_look_at(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(f'a: {{image: "{shell_image}", run: "sleep 60"}}')
    run = lab.start()
    lab.running()
    cancel(lab.journal, run.id, "tester")
    lab.finish(run.id)
    assert lab.containers() == []
