"""What is kept of one infrastructure below `.podium/infra/NAME/`: the plan that waits, what an apply has done so far,
the outputs, and what differed last.

A saved plan and what a tool writes beside it hold secrets: nobody else may read them, and they go when the plan is
applied, replaced or expired. Everything else has only what a person may see.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from ..config.infra.outputs import DIRECTORY, KEPT
from ..domain.infra.plan import InfraPlan, Interruption, Output
from ..errors import UNREADABLE, Refused
from ..identity.processes import alive, started_at
from ..replacing import replace_file
from . import written

_PLAN, _SUMMARY = "plan", "plan.json"
_APPLYING, _MARK, _EVENTS = "applying", "applying.json", "applying.events"
_DRIFT, _STATE = "drift.json", "state.json"
SCRATCH = "drift"
_ABANDONED = "abandoned.json"
# What a plan or a look for drift that was killed left is removed after so long (seconds): one that goes on is not.
_LEFT_AFTER = 86_400.0


class Saved:
    """What is kept of one infrastructure."""

    def __init__(self, state: Path, name: str) -> None:
        self.name = name
        self.directory = state / DIRECTORY / name
        self.data = self.directory / "data"
        """Where the tool keeps its providers."""

    def prepare(self) -> None:
        """Makes the directory, for its owner alone."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.directory.chmod(0o700)

    # The plan that waits

    @property
    def file(self) -> Path:
        """Where the tool's own plan is."""
        return self.directory / _PLAN

    def digest(self, file: Path | None = None) -> str:
        """Returns the SHA-256 of the tool's plan; empty where there is none."""
        try:
            return hashlib.sha256((file or self.file).read_bytes()).hexdigest()
        except OSError:
            return ""

    def keep(self, plan: InfraPlan) -> None:
        """Keeps a plan, whose file the tool has written (if it has one)."""
        self.prepare()
        with suppress(FileNotFoundError):
            self.file.chmod(0o600)
        replace_file(self.directory / _SUMMARY, written.plan_text(plan))

    def plan(self, now: float | None = None) -> InfraPlan | None:
        """Returns the plan that waits; None for none. One that has expired is removed."""
        found = self.any_plan()
        if found is not None and found.expired(time.time() if now is None else now):
            if found.reference:
                self._abandon(found)
            self.discard()
            return None
        return found

    def abandoned(self) -> InfraPlan | None:
        """Returns a plan that has expired, and that the tool itself still keeps; it is forgotten here."""
        path = self.directory / _ABANDONED
        with suppress(OSError, *UNREADABLE):
            found = written.read_plan(path.read_text(encoding="utf-8"))
            path.unlink(missing_ok=True)
            return found
        return None

    def _abandon(self, plan: InfraPlan) -> None:
        with suppress(OSError):
            replace_file(self.directory / _ABANDONED, written.plan_text(plan))

    def any_plan(self) -> InfraPlan | None:
        """Returns the plan that was saved last, expired or not."""
        with suppress(OSError, *UNREADABLE):
            return written.read_plan((self.directory / _SUMMARY).read_text(encoding="utf-8"))
        return None

    def discard(self) -> None:
        """Removes the plan that waits."""
        for name in (_PLAN, _SUMMARY):
            (self.directory / name).unlink(missing_ok=True)

    # While it is applied

    def begin(self, plan: InfraPlan, run: int) -> Path:
        """Takes the plan that waits, for good: whatever becomes of this apply, it is never applied again. Returns where
        its file is now."""
        self.prepare()
        mark = {"run": run, "digest": plan.digest, "at": time.time(), "pid": os.getpid()}
        mark["started"] = started_at(os.getpid()) or 0.0
        replace_file(self.directory / _EVENTS, "")
        replace_file(self.directory / _MARK, json.dumps(mark))
        taken = self.directory / _APPLYING
        with suppress(FileNotFoundError):
            self.file.replace(taken)
        (self.directory / _SUMMARY).unlink(missing_ok=True)
        return taken

    def begun(self, address: str) -> None:
        """Notes that a resource is being changed."""
        self._note("begun", address)

    def ended(self, address: str) -> None:
        """Notes that a resource is finished."""
        self._note("ended", address)

    def finish(self) -> None:
        """Notes that the apply is over, well or not: its tool has said so itself."""
        for name in (_APPLYING, _MARK, _EVENTS):
            (self.directory / name).unlink(missing_ok=True)

    def interruption(self) -> Interruption | None:
        """Returns the apply that was cut short; None where there is none, or one is under way. What it left of the plan
        is removed."""
        mark = self._mark()
        if mark is None or alive(int(mark["pid"]), float(mark["started"])):
            return None
        (self.directory / _APPLYING).unlink(missing_ok=True)
        done, left = self.events()
        return Interruption(int(mark["run"]), str(mark["digest"]), float(mark["at"]), tuple(done), tuple(left))

    def under_way(self) -> int:
        """Returns the run that applies it now; 0 for none."""
        mark = self._mark()
        return int(mark["run"]) if mark is not None and alive(int(mark["pid"]), float(mark["started"])) else 0

    def _note(self, what: str, address: str) -> None:
        with (self.directory / _EVENTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps([what, address]) + "\n")

    def _mark(self) -> Mapping[str, Any] | None:
        with suppress(OSError, ValueError):
            found = json.loads((self.directory / _MARK).read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return cast("dict[str, Any]", found)
        return None

    def events(self) -> tuple[list[str], list[str]]:
        """Returns the resources that this apply has finished, and those that it has begun and not finished."""
        done: dict[str, None] = {}
        left: dict[str, None] = {}
        with suppress(OSError):
            for line in (self.directory / _EVENTS).read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # the last line of a process that was killed
                    what, address = json.loads(line)
                    # What is replaced is begun twice: once its end is there, it is only half done.
                    into, out_of = (done, left) if what == "ended" else (left, done)
                    into[address] = None
                    out_of.pop(address, None)
        return list(done), list(left)

    # What is known of it

    def keep_outputs(self, outputs: Sequence[Output]) -> None:
        """Keeps the outputs that may be seen, for environments and others that name them."""
        self.prepare()
        values = {each.name: each.value for each in outputs if not each.sensitive}
        replace_file(self.directory / KEPT, json.dumps(values, ensure_ascii=False))

    def keep_drift(self, plan: InfraPlan) -> None:
        """Keeps what differed when it was looked at."""
        self.prepare()
        replace_file(self.directory / _DRIFT, written.plan_text(plan))

    def drift(self) -> InfraPlan | None:
        """Returns what differed when it was last looked at; None where it never was."""
        with suppress(OSError, *UNREADABLE):
            return written.read_plan((self.directory / _DRIFT).read_text(encoding="utf-8"))
        return None

    def note_applied(self, run: int, at: float) -> None:
        """Notes when, and by which run, it was applied. What differed before that says nothing any more."""
        self.prepare()
        replace_file(self.directory / _STATE, json.dumps({"applied": at, "run": run}))
        (self.directory / _DRIFT).unlink(missing_ok=True)

    def applied(self) -> float | None:
        """Returns when it was last applied, in seconds since the epoch."""
        with suppress(OSError, *UNREADABLE):
            return float(json.loads((self.directory / _STATE).read_text(encoding="utf-8"))["applied"])
        return None

    def ensure_whole(self, plan: InfraPlan) -> None:
        """Raises Refused where the saved plan is not the file that it was made with."""
        if self.digest() != plan.digest:
            self.discard()
            raise Refused(
                f"the saved plan of {self.name} is not the one that was made: its SHA-256 is another one",
                hint=f"it is removed; make a new one: podium infra plan {self.name}",
            )

    def remove_left(self, now: float) -> None:
        """Removes plans of the tool that nothing knows of, because what made them was killed: they hold secrets."""
        for name in (_PLAN, SCRATCH) if self.any_plan() is None else (SCRATCH,):
            path = self.directory / name
            with suppress(OSError):
                if now - path.stat().st_mtime > _LEFT_AFTER:
                    path.unlink()

    def forget_providers(self) -> None:
        """Removes what the tool keeps for itself; it is fetched again."""
        shutil.rmtree(self.data, ignore_errors=True)


def remove_expired(state: Path, now: float) -> list[str]:
    """Removes the plans that have expired, and what an apply that was cut short left of its own; returns whose they
    were."""
    found: list[str] = []
    directory = state / DIRECTORY
    for each in sorted(directory.iterdir()) if directory.is_dir() else ():
        saved = Saved(state, each.name)
        saved.interruption()
        saved.remove_left(now)
        if saved.any_plan() is not None and saved.plan(now) is None:
            found.append(each.name)
    return found
