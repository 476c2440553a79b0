"""The project of the soak: what `podium init` writes, with two replicas, a promotion at the end of its pipeline, and
everything that grows kept for a minute or two."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.runner.scale import scaled
from tests.support import free_port

ENVIRONMENT = "production"
RETAIN = """
retain: {runs: 2m, logs: 2m, cache: 2m, worktrees: 1m, samples: 10m, captures: 2m, models: 1m, replica_logs: 2m, reports: 2m,
         messages: 2m, temporary: 2m, audit: 2m, ledger: 2m, evidence: 2m}
"""
PROMOTE = "      production: {uses: promote, needs: [gate], environment: production}\n"
# A row of the example's data, as a client would send it.
ROW = """
import json
from sklearn.datasets import load_breast_cancer
frame = load_breast_cancer(as_frame=True).data.head(1)
print(json.dumps({"dataframe_split": frame.to_dict(orient="split", index=False)}))
"""


class Project:
    """A repository in `home` that pushes to itself: a commit to main is a push."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self._pushed = 0
        home.mkdir(mode=0o700)
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Soak")
        self.git("config", "user.email", "soak@example.org")
        self.podium("init")
        path = home / "podium.yaml"
        text = path.read_text()
        text = text.replace("port: 5100", f"port: {self.port}").replace("replicas: 1", "replicas: 2")
        text = text.replace("\ngates:", f"{PROMOTE}\ngates:", 1)
        # The champion's margin would refuse one of two equal models now and then: this is no test of gates.
        text = re.sub(r"\n.*compare: champion.*", "", text)
        path.write_text(text + RETAIN)
        self.push()

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=self.home, check=True, capture_output=True, text=True, timeout=scaled(30)
        )
        return done.stdout.strip()

    def podium(self, *words: str, code: int | None = 0) -> str:
        """Runs a command and returns what it printed. Raises AssertionError if it does not end with `code`."""
        done = subprocess.run(
            [sys.executable, "-m", "podium.cli", *words],
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=scaled(600),
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )
        assert code is None or done.returncode == code, f"podium {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def push(self) -> str:
        """Commits a change of the training script; returns the commit."""
        self._pushed += 1
        script = self.home / "train.py"
        text = re.sub(r"\n# push \d+\n\Z", "\n", script.read_text())
        # Another forest, so that the version is another one.
        text = re.sub(r"random_state=\d+\)\n        accuracy", f"random_state={self._pushed})\n        accuracy", text)
        script.write_text(
            f"{text}# push {self._pushed}\n" if text.endswith("\n") else f"{text}\n# push {self._pushed}\n"
        )
        self.git("add", "-A")
        self.git("commit", "-q", "-m", f"push {self._pushed}")
        return self.git("rev-parse", "HEAD")

    def body(self) -> str:
        done = subprocess.run(
            [sys.executable, "-c", ROW], check=True, capture_output=True, text=True, timeout=scaled(60)
        )
        return done.stdout.strip()

    def status(self) -> dict[str, object]:
        (found,) = json.loads(self.podium("status", "-o", "json"))["environments"]
        return found

    def disk(self) -> int:
        """Returns the bytes below `.podium/` but those of MLflow's store: nobody but its owner removes a version."""
        total = 0
        for directory, folders, names in os.walk(self.home / ".podium"):
            folders[:] = [name for name in folders if name != "artifacts"]
            for name in names:
                try:
                    total += os.lstat(os.path.join(directory, name)).st_blocks * 512
                except OSError:
                    continue
        return total
