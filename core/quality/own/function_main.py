"""The process of a project's own metric: `python -P -m podium.core.quality.own.function_main PARENT`.

It loads the file of the project, and calls its functions with truth, answer and rows. Reads requests from standard
input and answers on standard output (see `model_process.py`). It ends with the process PARENT.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ... import control_groups
from ...domain.frozen import Frozen
from ..contained import Failed, begin, serve, within
from ..metrics import Unmeasurable
from ..outputs import Column, decode
from ..reasons import whole_reason
from ..tables import read

if TYPE_CHECKING:
    from numpy.typing import NDArray


class _Opened(Frozen):
    """The project's file, loaded, and what its functions are called with."""

    root: Path
    module: Any
    rows: Any
    truth: Any
    answers: dict[int, Any]
    """By the model's number: a Series for one column, a DataFrame for more."""


class _Asked:
    def __init__(self) -> None:
        self._opened: _Opened | None = None

    def __call__(self, request: Mapping[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        if request["do"] == "open":
            self._opened = _open(request)
            return {}, b""
        assert self._opened is not None
        if request["do"] == "answers":
            output = decode(request["document"], payload)
            self._opened.answers[int(request["model"])] = _frame(output.columns, output.rows)
            return {}, b""
        return _call(self._opened, request, payload)


def _open(request: Mapping[str, Any]) -> _Opened:
    root, file = Path(request["root"]), Path(request["root"]) / request["file"]
    if request["group"]:  # before anything of the project's is loaded
        control_groups.ControlGroup(Path(request["group"])).add(os.getpid())
    rows = within("cannot be asked", lambda: read(Path(request["path"]), request["shown"]))
    targets: list[str] = request["targets"]
    truth = rows[targets[0]] if len(targets) == 1 else rows[targets]
    module = within("failed to load", lambda: _loaded(root, file), lambda error: located(error, root))
    return _Opened(root, module, rows, truth, {})


def _loaded(root: Path, file: Path) -> Any:
    if not file.is_file():
        raise Unmeasurable("there is no such file")
    sys.path[:0] = [str(file.parent), str(root)]
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def _frame(columns: Sequence[Column], rows: int) -> Any:
    """Returns what a model answered, as the function gets it."""
    import pandas

    named = [column.name or str(place) for place, column in enumerate(columns)]
    series = [
        pandas.Series([column.strange] * rows if column.strange else column.values, name=name)
        for column, name in zip(columns, named, strict=True)
    ]
    return series[0] if len(series) == 1 else pandas.concat(series, axis=1)


def _call(opened: _Opened, request: Mapping[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    """Calls a function with all rows, or with those whose numbers are in the payload."""
    import numpy as np

    function = _function(opened.module, str(request["function"]))
    chosen = np.frombuffer(payload, dtype="<i8") if payload else np.arange(len(opened.rows))
    given = [each.iloc[chosen].reset_index(drop=True) for each in (opened.truth, opened.answers[request["model"]])]
    rows = opened.rows.iloc[chosen].reset_index(drop=True)
    returned = within("failed", lambda: function(*given, rows), lambda error: located(error, opened.root))
    return within("gives no usable value", lambda: _value(returned, len(chosen)))


def _function(module: Any, name: str) -> Callable[..., Any]:
    members: dict[str, Any] = {str(each): getattr(module, each) for each in dir(module)}
    known = [each for each, value in members.items() if callable(value) and not each.startswith("_")]
    if name not in known:
        hint = f"It has: {', '.join(known[:20])}." if known else ""
        raise Failed("cannot be called", f"it has no function {name!r}", hint)
    return members[name]


def _value(returned: Any, rows: int) -> tuple[dict[str, Any], bytes]:
    """Returns a number, or one per row, for the gate. A Series says by its index which row each value is of. Raises
    Unmeasurable for anything else."""
    import numpy as np
    import pandas

    if isinstance(returned, pandas.Series) and set(returned.index) == set(range(rows)) and len(returned) == rows:
        returned = returned.sort_index()
    try:
        values: NDArray[Any] = np.asarray(returned, dtype=float)
    except (TypeError, ValueError):
        values = np.zeros((0, 0))
    if values.ndim == 0:
        if not math.isfinite(float(values)):
            raise Unmeasurable(f"it returned {float(values)}")
        return {"number": float(values)}, b""
    if values.shape != (rows,):
        shape = f" of {len(values):,} values" if values.ndim == 1 else ""
        raise Unmeasurable(
            f"it returned a {type(returned).__name__}{shape}: it has to return a number, or one for"
            f" each of {rows:,} rows"
        )
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise Unmeasurable(f"{bad} of the {rows:,} values that it returned are missing or infinite")
    return {}, values.astype("<f8").tobytes()


def located(error: BaseException, root: Path) -> str:
    """Returns an error with the place in the project's own code: `metrics.py:12: ValueError: no such column`."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno))
    own = [(Path(name), line) for name, line in frames if Path(name).is_relative_to(root)]
    where = f"{own[-1][0].relative_to(root)}:{own[-1][1]}: " if own else ""
    return f"{where}{type(error).__name__}: {whole_reason(error)}"


def main(arguments: Sequence[str]) -> NoReturn:
    """Answers requests until there are no more."""
    serve(_Asked())


if __name__ == "__main__":
    begin(sys.argv[1])
    main(sys.argv[1:])
