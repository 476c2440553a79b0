"""Where the files of a run are. Every name is made safe here, in one way."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_UNSAFE = re.compile(r"[^A-Za-z0-9._=,+-]+")
_MAX_NAME_LENGTH = 120


def safe_name(name: str) -> str:
    """Returns a file name for a step: `train[depth=4]` -> `train_depth=4_-1a2b3c`. A changed name carries a hash, so
    that two names stay different."""
    safe = _UNSAFE.sub("_", name)[:_MAX_NAME_LENGTH].lstrip(".")
    if safe == name:
        return safe
    return f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def run_directory(state: Path, run_id: int) -> Path:
    return state / "runs" / str(run_id)


def step_log(state: Path, run_id: int, step: str) -> Path:
    return run_directory(state, run_id) / f"{safe_name(step)}.log"


def step_parts(state: Path, run_id: int, step: str) -> Path:
    """Returns the file that says what the key of a step was made from."""
    return run_directory(state, run_id) / f"{safe_name(step)}.key.json"


def worker_log(state: Path, run_id: int) -> Path:
    """Returns the path of the worker's own messages."""
    return run_directory(state, run_id) / "worker.log"


def worktree(state: Path, run_id: int) -> Path:
    """Returns the directory of a pushed commit's run."""
    return state / "worktrees" / str(run_id)


def fresh_marker(state: Path, run_id: int) -> Path:
    """Returns the file that exists if the run was asked to ignore the cache."""
    return run_directory(state, run_id) / "fresh"


def verify_marker(state: Path, run_id: int) -> Path:
    """Returns the file that exists if the run was asked to read every input again."""
    return run_directory(state, run_id) / "verify"


def checked_out_marker(state: Path, run_id: int) -> Path:
    """Returns the file that exists once the run's worktree has all of its commit."""
    return run_directory(state, run_id) / "checked-out"


def prepare_directory(state: Path, run_id: int) -> Path:
    """Creates the run's directory, private to its owner. Raises OSError if that fails."""
    directory = run_directory(state, run_id)
    for path in (state, state / "runs", directory):
        if not path.is_dir():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory
