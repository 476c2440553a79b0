"""What every executor has to do. Subclass `ExecutorConformance` in a test module, with a fixture `bench` that returns
an `ExecutorBench` for the executor under test; nothing here knows any of them."""

from __future__ import annotations

import ctypes
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podium.core import plugins
from podium.core.domain.capabilities import ExecutorCapabilities
from podium.core.domain.project import ContainerSpec, Project
from podium.core.domain.runs import RunState
from podium.core.engine import paths
from podium.core.engine.cache import Cache
from podium.core.engine.executors import Execution, Executor, ExecutorContext, Task, load
from podium.core.engine.graph import PlannedStep, build
from podium.core.engine.recovery import recover
from podium.core.engine.submit import resume
from podium.core.errors import PodiumError

from tests.engine.lab import Lab, wait_for_file
from tests.support import wait_until

SECRET = "correct-horse-battery-staple"
_PR_SET_CHILD_SUBREAPER = 36


class Running:
    """A started task, whose output is read as the runner does: until both descriptors end. `remarks` are the lines
    that the executor itself adds."""

    def __init__(self, execution: Execution, remarks: re.Pattern[bytes]) -> None:
        self.execution = execution
        self._remarks = remarks
        self._said: dict[int, bytearray] = {execution.stdout: bytearray(), execution.stderr: bytearray()}
        self._readers = [threading.Thread(target=self._read, args=(each,), daemon=True) for each in self._said]
        for reader in self._readers:
            reader.start()

    def _read(self, descriptor: int) -> None:
        with suppress(OSError):
            while data := os.read(descriptor, 65536):
                self._said[descriptor] += data

    @property
    def stdout(self) -> bytes:
        return self._remarks.sub(b"", bytes(self._said[self.execution.stdout]))

    @property
    def stderr(self) -> bytes:
        return self._remarks.sub(b"", bytes(self._said[self.execution.stderr]))

    def ended(self, timeout: float = 40.0) -> int:
        """Waits for the end of the command and of its output; returns the exit code."""
        wait_until(lambda: self.execution.poll() is not None, timeout, what="the command has ended")
        code = self.execution.poll()
        assert code is not None
        for reader in self._readers:
            reader.join(timeout)
            assert not reader.is_alive(), "somebody still holds the output"
        return code

    def killed(self, timeout: float = 40.0) -> int:
        """Kills it, again and again as the runner does, until it has ended."""

        def over() -> bool:
            self.execution.kill()
            return self.execution.poll() is not None and not self.execution.leftovers()

        wait_until(over, timeout, what="the command has been killed")
        return self.ended()

    def close(self) -> None:
        if self.execution.poll() is None or self.execution.leftovers():
            self.killed()
        for descriptor in self._said:
            with suppress(OSError):
                os.close(descriptor)


class ExecutorBench:
    """One executor and a project to run steps in. `image` is what its steps run in, where it needs one; `remarks` are
    the lines that it adds to their output."""

    def __init__(self, name: str, lab: Lab, *, image: str = "", remarks: bytes = rb"(?!)") -> None:
        self._remarks = re.compile(remarks, re.MULTILINE)
        self.name, self.lab, self.image = name, lab, image
        self.executor: Executor = load(name)
        self.project: Project = replace(lab.pipeline(f"a: {{{self.keys}, run: 'true'}}"), secrets=(SECRET,))
        self._started: list[Running] = []

    @property
    def can(self) -> ExecutorCapabilities:
        return plugins.executor_capabilities(self.name)

    @property
    def keys(self) -> str:
        """What a step of podium.yaml has to say to run here."""
        return f"executor: {self.name}" + (f", image: {self.image}" if self.image else "")

    def task(self, command: str, *, step: str = "a", env: Mapping[str, str] | None = None, **more: Any) -> Task:
        home = self.lab.home
        directory = paths.run_directory(self.project.state, 1)
        directory.mkdir(parents=True, exist_ok=True)
        marks = {"PODIUM_RUN": "1", "PODIUM_HOME": str(home), "PODIUM_STEP": step}
        values = {"PATH": os.environ["PATH"], **marks, **(env or {})}
        fields: dict[str, Any] = {
            "project": self.project,
            "container": ContainerSpec(image=self.image) if self.image else None,
            "directory": directory,
            "log": directory / f"{step}.log",
            **more,
        }
        argv = fields.pop("argv", ("/bin/sh", "-e", "-c", command))
        return Task(1, step, argv, values, home, **fields)

    def start(self, command: str, **more: Any) -> Running:
        started = Running(self.executor.start(self.task(command, **more)), self._remarks)
        self._started.append(started)
        return started

    def run(self, command: str, **more: Any) -> tuple[int, bytes, bytes]:
        """Returns the exit code and both outputs."""
        started = self.start(command, **more)
        return started.ended(), started.stdout, started.stderr

    def close(self) -> None:
        for started in self._started:
            started.close()
        self.lab.close()
        # Executors of processes make their worker the parent of all orphans; the other tests of this process want none.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


class ExecutorConformance:
    """The tests. Nothing is written outside the step's directory; commands need a shell and the usual programs."""

    @pytest.fixture
    def bench(self) -> Iterator[ExecutorBench]:
        raise NotImplementedError("give this class a fixture `bench` of the executor under test")

    def test_it_returns_at_once_and_tells_the_exit_code_at_the_end(self, bench: ExecutorBench) -> None:
        started = bench.start("while test ! -e go; do sleep 0.02; done; exit 7")
        assert started.execution.poll() is None
        bench.lab.write("go", "")
        assert started.ended() == 7
        assert started.execution.poll() == 7, "asked again it tells the same"

    def test_success_is_zero_and_has_no_error(self, bench: ExecutorBench) -> None:
        started = bench.start("true")
        assert started.ended() == 0
        assert not started.execution.leftovers()
        assert not started.execution.findings().get("error")

    def test_a_command_that_a_signal_ended_has_not_succeeded(self, bench: ExecutorBench) -> None:
        code, _, _ = bench.run("kill -9 $$")
        assert code in (-9, 128 + 9)

    def test_standard_output_and_standard_error_stay_apart(self, bench: ExecutorBench) -> None:
        assert bench.run("echo out; echo err >&2; echo out again") == (0, b"out\nout again\n", b"err\n")

    def test_output_without_a_newline_arrives_as_it_is(self, bench: ExecutorBench) -> None:
        assert bench.run("printf 'half a line'; printf '\\033[31mred\\377' >&2") == (
            0,
            b"half a line",
            b"\033[31mred\377",
        )

    def test_output_is_there_while_the_command_runs(self, bench: ExecutorBench) -> None:
        started = bench.start("printf first; while test ! -e go; do sleep 0.02; done; printf second")
        wait_until(lambda: started.stdout == b"first", 40, what="the first word is there")
        bench.lab.write("go", "")
        assert started.ended() == 0
        assert started.stdout == b"firstsecond"

    def test_a_lot_of_output_arrives_whole(self, bench: ExecutorBench) -> None:
        code, stdout, stderr = bench.run("seq 1 40000; seq 1 20000 >&2")
        assert code == 0
        assert stdout == "".join(f"{number}\n" for number in range(1, 40001)).encode()
        assert stderr == "".join(f"{number}\n" for number in range(1, 20001)).encode()

    def test_without_an_input_there_is_nothing_to_read(self, bench: ExecutorBench) -> None:
        assert bench.run("cat; echo over") == (0, b"over\n", b"")

    def test_the_input_is_what_it_was_given(self, bench: ExecutorBench) -> None:
        if not bench.can.local:
            pytest.skip("only steps of Podium's own get an input, and those run as processes")
        with bench.lab.write("in.txt", "a line\n").open() as file:
            assert bench.run("cat", stdin=file.fileno())[1] == b"a line\n"

    def test_the_environment_is_the_tasks_and_not_the_workers(
        self, bench: ExecutorBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ONLY_THE_WORKERS", "x")
        odd = "two\nlines, 'quotes', \"more\", $HOME and ünïcode"
        command = 'printf "%s|%s|%s" "$ODD" "${EMPTY-unset}" "${ONLY_THE_WORKERS-unset}"'
        code, stdout, _ = bench.run(command, env={"ODD": odd, "EMPTY": ""})
        assert (code, stdout.decode()) == (0, f"{odd}||unset")

    def test_it_runs_where_the_run_is_with_its_files_and_leaves_its_outputs_there(self, bench: ExecutorBench) -> None:
        bench.lab.write("in/one.txt", "7")
        command = "pwd; mkdir out; cp in/one.txt out/copy.txt; chmod +x out/copy.txt"
        code, stdout, _ = bench.run(command, outputs=("out",))
        assert (code, stdout.decode().strip()) == (0, str(bench.lab.home))
        copy = bench.lab.home / "out/copy.txt"
        assert copy.read_text() == "7" and os.access(copy, os.X_OK)
        assert copy.stat().st_uid == os.getuid()

    def test_told_to_end_it_may_clean_up(self, bench: ExecutorBench) -> None:
        started = bench.start("trap 'echo cleaned; exit 5' TERM; echo ready; while :; do sleep 0.05; done")
        wait_until(lambda: b"ready" in started.stdout, 40, what="the command runs")
        started.execution.terminate()
        assert started.ended() == 5
        assert started.stdout == b"ready\ncleaned\n"

    def test_what_ignores_being_told_to_end_is_killed(self, bench: ExecutorBench) -> None:
        started = bench.start("trap '' TERM; echo ready; while :; do echo beat >>beat; sleep 0.05; done")
        wait_until(lambda: b"ready" in started.stdout, 40, what="the command runs")
        started.execution.terminate()
        beats = _beats(bench)
        wait_until(lambda: _beats(bench) > beats + 3, 40, what="it goes on")
        assert started.execution.poll() is None
        assert started.killed() not in (0, 5)
        assert _still(bench)

    def test_what_a_command_leaves_running_is_found_and_ended(self, bench: ExecutorBench) -> None:
        command = (
            "(trap '' TERM; while :; do echo beat >>beat; sleep 0.05; done) </dev/null >/dev/null 2>&1 & sleep 0.3"
        )
        started = bench.start(command)
        wait_until(lambda: started.execution.poll() is not None, 40, what="the command has ended")
        assert started.killed() == 0, "the command itself had ended well"
        assert _still(bench)

    def test_ending_what_has_ended_is_no_error(self, bench: ExecutorBench) -> None:
        started = bench.start("exit 3")
        assert started.ended() == 3
        started.execution.terminate()
        started.execution.kill()
        assert started.execution.poll() == 3 and started.execution.leftovers() == 0

    def test_a_program_that_does_not_exist_is_told(self, bench: ExecutorBench) -> None:
        try:
            started = bench.start("", argv=("/no/such/program",))
        except (OSError, PodiumError) as error:
            assert "no such" in str(error).lower()
        else:
            assert started.ended() != 0
            assert started.stderr or started.execution.findings().get("error")

    def test_a_secret_is_on_no_command_line(self, bench: ExecutorBench) -> None:
        started = bench.start('printf "%s" "${#TOKEN}"; while test ! -e go; do sleep 0.02; done', env={"TOKEN": SECRET})
        wait_until(lambda: started.stdout == str(len(SECRET)).encode(), 40, what="the command has the secret")
        assert [line for line in _command_lines() if SECRET.encode() in line] == []
        directory = paths.run_directory(bench.project.state, 1)
        assert [path for path in directory.rglob("*") if path.is_file() and SECRET in path.read_text()] == []
        bench.lab.write("go", "")
        assert started.ended() == 0

    def test_two_at_once_do_not_touch_each_other(self, bench: ExecutorBench) -> None:
        first = bench.start("trap 'exit 4' TERM; echo ready; while :; do sleep 0.05; done")
        second = bench.start("echo ready; while test ! -e go; do sleep 0.02; done; echo over", step="b")
        for each in (first, second):
            wait_until(lambda each=each: b"ready" in each.stdout, 40, what="it runs")
        first.execution.terminate()
        assert first.ended() == 4
        assert second.execution.poll() is None
        bench.lab.write("go", "")
        assert (second.ended(), second.stdout) == (0, b"ready\nover\n")

    def test_its_fingerprint_is_a_text_that_stays(self, bench: ExecutorBench) -> None:
        planned: PlannedStep = build(bench.project.pipelines["main"])[0]
        setting = ExecutorContext(bench.project, bench.lab.home, Cache(bench.project.state), lambda: None)
        first = bench.executor.fingerprint(planned, setting)
        assert isinstance(first, str)
        assert load(bench.name).fingerprint(planned, setting) == first

    def test_a_run_whose_worker_was_killed_can_be_resumed(self, bench: ExecutorBench) -> None:
        """With one start of the command where the executor promises that it survives, else with a second one."""
        lab = bench.lab
        lab.pipeline(
            f"a:\n  {{{bench.keys}, run: 'echo begun >>starts; while test ! -e go; do sleep 0.05; done; echo end'}}"
        )
        run = lab.start()
        wait_for_file(lab.home / "starts", 40)
        lab.kill_worker(run.id)
        assert recover(lab.journal) == [run.id]
        resume(lab.project, lab.journal, run.id, "tester")
        if not bench.can.survives_worker:
            wait_until(lambda: _starts(lab) == 2, 40, what="the command was started again")
        lab.write("go", "")
        found, steps = lab.finish(run.id, timeout=60)
        assert found.state is RunState.SUCCEEDED, steps["a"].message
        assert _starts(lab) == (1 if bench.can.survives_worker else 2)
        assert lab.log(run.id, "a", "o").splitlines()[-1] == "end"


def _starts(lab: Lab) -> int:
    return len((lab.home / "starts").read_text().splitlines())


def _beats(bench: ExecutorBench) -> int:
    beat = bench.lab.home / "beat"
    return len(beat.read_text().splitlines()) if beat.exists() else 0


def _still(bench: ExecutorBench) -> bool:
    """Whether nothing writes any more."""
    before = _beats(bench)
    threading.Event().wait(0.5)
    return _beats(bench) == before


def _command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()
