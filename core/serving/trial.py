"""Loads a model where it will be served, and predicts its own input example: `python -m podium.core.serving.trial
DIR [SECONDS]`.

The last line on standard output is JSON: `python`, `seconds`, `example` (its HTTP status; null without one), and
after a failure `error` and `missing` (the module that is not installed). Exit codes: 0 the model loads, 1 it does
not.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

# Written by MLflow beside a model that was logged with an input example.
EXAMPLE = "serving_input_example.json"


def attempt(path: Path) -> dict[str, Any]:
    started = time.monotonic()
    try:
        from .scoring import load

        scorer = load(path)
    except Exception as error:
        text = " ".join(str(error).split())[:500]
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        return {
            "error": f"{type(error).__name__}: {text}",
            "missing": missing,
            "seconds": round(time.monotonic() - started, 2),
        }
    example = path / EXAMPLE
    status = scorer.answer(example.read_bytes(), "application/json").status if example.is_file() else None
    return {"seconds": round(time.monotonic() - started, 2), "example": status}


def main(arguments: list[str]) -> int:
    """Tries the model in the directory of the first argument, for at most as many seconds as the second one says;
    returns the exit code."""
    # Nobody may be left to end it.
    signal.alarm(int(arguments[1]) if len(arguments) > 1 else 0)
    found = {**attempt(Path(arguments[0])), "python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    print(json.dumps(found), flush=True)
    return 1 if "error" in found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
