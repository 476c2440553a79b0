"""The built-in step `register`, with one look at what it registered: whether the model's files load by themselves,
where the directory of the training script is not at hand. A gate or a replica would find out later."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..domain.text import clean
from ..errors import RunFailed
from ..preload.piped import run
from ..registry import register_step

if TYPE_CHECKING:
    from ..engine.context import StepContext

LOAD_TIMEOUT = 600
_OF_THE_SCRIPT = re.compile(r"Can't get attribute '([^']+)' on <module '__main__'")
_HINT = (
    "log the model with code_paths=[…], which takes the modules that it needs along: "
    "mlflow.<flavour>.log_model(…, code_paths=['{}'])"
)


def register(context: StepContext) -> Mapping[str, Any]:
    """Registers the best run as `registry.register_step.register` does. Raises RunFailed, before it is the challenger,
    for a version that needs a module which lies beside the training script and not in the model."""
    return register_step.register(context, check=lambda files: _require_whole(context, files))


def _require_whole(context: StepContext, files: Path) -> None:
    problem = _problem(context, files)
    if not problem.get("error"):
        return
    error, missing = clean(str(problem["error"]))[:300], str(problem.get("missing") or "").partition(".")[0]
    script = _OF_THE_SCRIPT.search(error)
    if script is not None:
        raise RunFailed(
            f"the model does not load by itself: it needs {script[1]}, which the training script itself defines",
            hint=f"put {script[1]} into a module of its own; " + _HINT.format("that_module.py"),
        )
    beside = _beside(context.project.root, missing)
    if beside:
        raise RunFailed(f"the model does not load by itself: it needs {beside}", hint=_HINT.format(beside))
    # A package that is not installed here may be where it is served.
    context.log(f"the model does not load here: {error}")


def _problem(context: StepContext, files: Path) -> Mapping[str, Any]:
    """Loads the model in a process of its own, in an empty directory; returns what it says."""
    with tempfile.TemporaryDirectory(prefix="podium-load-") as nowhere:
        arguments = [str(files.resolve()), str(LOAD_TIMEOUT)]
        try:
            _, said, _ = run(
                context.project.state, "podium.core.serving.trial", arguments, cwd=Path(nowhere), timeout=LOAD_TIMEOUT
            )
            found: Any = json.loads(said.strip().splitlines()[-1])
        except (subprocess.TimeoutExpired, ValueError, IndexError):
            return {"error": f"it did not load within {LOAD_TIMEOUT} s, or its process ended"}
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def _beside(root: Path, module: str) -> str:
    """Returns the file or package of that name in the project, relative to it; empty where there is none."""
    if not module.isidentifier():
        return ""
    for pattern in (f"{module}.py", f"{module}/__init__.py"):
        for depth in ("", "*/", "*/*/"):
            for found in sorted(root.glob(depth + pattern)):
                inside = found.relative_to(root)
                if ".podium" not in inside.parts:
                    return str(inside.parent if found.name == "__init__.py" else inside)
    return ""
