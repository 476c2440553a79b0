"""Which preloading server is the right one for a child: one that a new interpreter would not differ from."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

# Variables that the interpreter, the C library or an imported library reads once, when it starts or is loaded. OpenMP's
# are not among them: the server does not load it.
_AT_START = (
    "PYTHON", "LD_", "GLIBC_", "MALLOC_", "LANG", "LC_", "TZ", "OPENBLAS_", "GOTO_", "ARROW_", "JE_ARROW_", "ASAN_",
    "FAKETIME", "MLFLOW_CONFIGURE_LOGGING", "MLFLOW_LOGGING_LEVEL",
)  # fmt: skip
# No thread may exist when a child is forked: OpenBLAS and jemalloc (in pyarrow) start theirs when they are loaded.
_SINGLE = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
# Read at the start, but a child can do the same later.
_LATER = ("PYTHONUNBUFFERED", "PYTHONSAFEPATH", "PYTHONDONTWRITEBYTECODE")
# Without these a program may not run at all; they change nothing of what is imported.
_HARMLESS = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "VIRTUAL_ENV")


def fingerprint(env: Mapping[str, str]) -> str:
    """Returns 16 hexadecimal digits: equal for two children that may come from the same server."""
    return fingerprints(env)[0]


def fingerprints(env: Mapping[str, str]) -> list[str]:
    """Returns the same for a child with the priority of this process, and then those of servers with a higher one,
    whose child can lower its own."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    facts = _facts(env)
    return [_hash([*facts, nice]) for nice in (own, *range(own))]


def _hash(facts: list[object]) -> str:
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:16]


def _facts(env: Mapping[str, str]) -> list[object]:
    return [
        sys.executable,
        sys.version,
        (os.getuid(), os.getgid(), sorted(os.getgroups())),
        sorted({**_SINGLE, **_read_at_start(env)}.items()),
        list(_packages()),
        [resource.getrlimit(kind) for kind in _limits()],
        sorted(os.sched_getaffinity(0)),
        _cgroup(),
    ]


def server_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of a server for children with these: no secret of theirs is among them."""
    harmless = {name: value for name, value in env.items() if name in _HARMLESS}
    return {**_SINGLE, **harmless, **_read_at_start(env), "MLFLOW_DISABLE_TELEMETRY": "true"}


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_AT_START) and name not in _LATER}


def _packages() -> Iterator[tuple[str, int]]:
    """Yields the directories that modules come from, with the time of the last installation."""
    for entry in sys.path:
        with contextlib.suppress(OSError):
            if Path(entry).name in ("site-packages", "dist-packages"):
                yield entry, Path(entry).stat().st_mtime_ns
    yield __file__, Path(__file__).stat().st_mtime_ns


def _limits() -> list[int]:
    return sorted(value for name, value in vars(resource).items() if name.startswith("RLIMIT_"))


def _cgroup() -> str:
    try:
        return Path("/proc/self/cgroup").read_text()
    except OSError:
        return ""
