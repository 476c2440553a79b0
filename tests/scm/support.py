"""A git of the tests' own: no configuration of whoever runs them."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tests.runner.scale import scaled

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ünit Tést"), ("EMAIL", "unit@example.com"))
    },
}


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=directory, env=ENVIRONMENT, capture_output=True, text=True, timeout=scaled(30)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(directory: Path, subject: str = "work", **files: str) -> str:
    for name, text in (files or {"file": subject + str(time.monotonic_ns())}).items():
        (directory / name).write_text(text)
    git(directory, "add", ".")
    git(directory, "commit", "-q", "-m", subject)
    return git(directory, "rev-parse", "HEAD")
