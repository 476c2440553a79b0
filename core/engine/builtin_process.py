"""The process of one built-in step: `python -P -m podium.core.engine.builtin_process CONTEXT.json`, or a child of the
preloading server, with the project on standard input.

It is a process of its own so that the worker stays small, and so that a built-in step can time out and be killed
like any command. It ends with the worker.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, cast

from .. import handover, plugins, priority
from ..child import end_with_parent, tell
from ..domain.runs import StepState
from ..errors import Interrupted, PodiumError
from .context import Builtin, StepContext, UpstreamStep


def describe(context: StepContext, uses: str, result: Path, worker: int) -> str:
    """Returns the JSON from which the child restores the context."""
    upstream = [
        [step.name, step.state, dict(step.results), step.key, step.origin_run] for step in context.upstream.values()
    ]
    return json.dumps(
        {
            "root": str(context.project.root),
            "home": str(context.project.home),
            "run": context.run.id,
            "step": context.step,
            "uses": uses,
            "options": dict(context.options),
            "attempt": context.attempt,
            "upstream": upstream,
            "result": str(result),
            "worker": worker,
        }
    )


def read_result(path: Path) -> dict[str, Any]:
    """Returns what the child wrote: `results`, or `error` with `hint` and `exit_code`. Empty if it ended before it
    could write."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def main(arguments: list[str]) -> int:
    document = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    signal.signal(signal.SIGTERM, _interrupt)
    result = Path(document["result"])
    try:
        _write(result, {"results": _carry_out(document)})
    except PodiumError as error:
        tell(f"{error.message}\n{error.hint}".rstrip(), sys.stderr)
        _write(
            result,
            {
                "error": error.message,
                "hint": error.hint,
                "exit_code": error.exit_code,
                "results": getattr(error, "results", {}),
            },
        )
        return error.exit_code
    except Exception as error:
        traceback.print_exc()
        _write(
            result,
            {
                "error": f"{document['uses']} failed unexpectedly: {type(error).__name__}: {error}",
                "hint": "",
                "exit_code": 1,
            },
        )
        return 1
    return 0


def _carry_out(document: Mapping[str, Any]) -> Mapping[str, Any]:
    from ..config.infra.outputs import with_outputs
    from ..domain.project import Project
    from ..journal import Journal

    project = handover.unpack(Project)
    if project is None:
        from ..config import load as load_project

        project = load_project(Path(document["root"]), home=Path(document["home"]))
    project = with_outputs(project)  # an earlier step may have made what an environment waited for
    journal = Journal.open(project.state / "journal.db")
    upstream = {
        name: UpstreamStep(name, StepState(state), results, key, origin)
        for name, state, results, key, origin in document["upstream"]
    }
    context = StepContext(
        project,
        journal.runs.get(document["run"]),
        document["step"],
        document["options"],
        upstream,
        document["attempt"],
        journal,
    )
    uses = document["uses"]
    try:
        if not plugins.step_capabilities(uses).delivers:
            priority.lower(priority.below(project.nice))
            priority.lower_session()
        builtin: Builtin = plugins.load("steps", uses)
        return builtin(context) or {}
    finally:
        context.close()


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Once: what is being undone because of it must not be interrupted by the next one.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Interrupted("told to end")


def _write(path: Path, value: Mapping[str, Any]) -> None:
    scratch = path.with_suffix(".part")
    scratch.touch(mode=0o600)
    scratch.write_text(json.dumps(value, default=str))
    scratch.replace(path)


def _main_below_worker(arguments: list[str]) -> int:
    """Does the same in an interpreter that the worker started, which has to see to its end itself."""
    end_with_parent()
    worker = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))["worker"]
    return main(arguments) if os.getppid() == worker else Interrupted.exit_code


if __name__ == "__main__":
    sys.exit(_main_below_worker(sys.argv[1:]))
