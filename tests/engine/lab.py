"""A project in a temporary directory, and runs of it with real workers."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from podium.core.config import load
from podium.core.domain.project import Project
from podium.core.domain.runs import Run, RunState, Step
from podium.core.engine import paths
from podium.core.engine.submit import cancel, submit_pipeline
from podium.core.errors import PodiumError
from podium.core.journal import Journal

from tests.runner.scale import scaled
from tests.support import wait_until


class Lab:
    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home.resolve()
        state = self.home / ".podium"
        state.mkdir(mode=0o700, exist_ok=True)
        self.journal = Journal.open(state / "journal.db")

    def pipeline(self, steps: str, *, extra: str = "") -> Project:
        """Write a podium.yaml with one pipeline, `main`; `steps` is indented by the caller like the body of a
        mapping."""
        indented = "\n".join("      " + line for line in steps.strip("\n").splitlines())
        params = "\n".join("    " + line for line in extra.strip("\n").splitlines())
        self.write("podium.yaml", f"project: lab\npipelines:\n  main:\n{params}\n    steps:\n{indented}\n")
        return self.project

    @property
    def project(self) -> Project:
        return load(self.home)

    def write(self, path: str, text: str) -> Path:
        target = self.home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def start(self, project: Project | None = None, **options: Any) -> Run:
        return submit_pipeline(project or self.project, self.journal, "main", who="tester", **options)

    def run(
        self, project: Project | None = None, *, timeout: float = 30.0, **options: Any
    ) -> tuple[Run, dict[str, Step]]:
        return self.finish(self.start(project, **options).id, timeout=timeout)

    def finish(self, run_id: int, *, timeout: float = 30.0) -> tuple[Run, dict[str, Step]]:
        wait_until(lambda: self.journal.runs.get(run_id).state.finished, timeout, what=f"run {run_id} is over")
        return self.journal.runs.get(run_id), self.steps(run_id)

    def transport(self, run_id: int, state: RunState, *, timeout: float = 20.0) -> Run:
        wait_until(lambda: self.journal.runs.get(run_id).state is state, timeout, what=f"run {run_id} is {state}")
        return self.journal.runs.get(run_id)

    def steps(self, run_id: int) -> dict[str, Step]:
        return {step.name: step for step in self.journal.steps.of(run_id)}

    def log(self, run_id: int, step: str, streams: str = "oe") -> str:
        """What the step printed; with `p` also Podium's own remarks."""
        path = paths.step_log(self.home / ".podium", run_id, step)
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
        return "\n".join(line[27:] for line in lines if line[25:26].lower() in streams)

    def worker_log(self, run_id: int) -> str:
        return paths.worker_log(self.home / ".podium", run_id).read_text()

    def kill_worker(self, run_id: int) -> None:
        run = wait_until(lambda: (r := self.journal.runs.get(run_id)) and r.worker_pid and r)
        os.kill(run.worker_pid, signal.SIGKILL)
        wait_until(lambda: not running(run.worker_pid))

    def close(self) -> None:
        for run in self.journal.runs.active():
            with suppress(PodiumError, AssertionError):
                cancel(self.journal, run.id, "tester")
                # A run that a test only wrote down never had a worker, and never ends.
                if paths.worker_log(self.home / ".podium", run.id).exists():
                    self.finish(run.id, timeout=15)
        self.journal.close()

    def git(self, *arguments: str) -> str:
        env: Mapping[str, str] = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_AUTHOR_NAME": "t",
            "GIT_AUTHOR_EMAIL": "t@example.org",
            "GIT_COMMITTER_NAME": "t",
            "GIT_COMMITTER_EMAIL": "t@example.org",
        }
        return subprocess.run(
            ["git", *arguments], cwd=self.home, env=env, check=True, capture_output=True, text=True, timeout=scaled(30)
        ).stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")


def running(pid: int | None) -> bool:
    """Whether the process is there and not merely waiting to be reaped. One whose first thread has ended waits to be
    reaped too, but has its sockets until its last thread ends, which takes a while where others compute."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state != "Z" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for_file(path: Path, timeout: float = 20.0) -> str:
    return wait_until(lambda: path.exists() and path.read_text().strip(), timeout, what=f"{path} has something in it")


def wait_gone(pid: int, timeout: float = 10.0) -> None:
    wait_until(lambda: not running(pid), timeout, what=f"process {pid} is gone")
