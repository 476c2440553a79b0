"""The process that scores parts: `python -P -m podium.core.scoring.part_main PARENT`. It loads the version once, and
predicts one part after the other (`quality/model_process.py` says how it is asked)."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ..quality.contained import Failed, begin, serve, within
from ..quality.metrics import Unmeasurable
from ..quality.outputs import Output
from ..quality.reasons import whole_reason
from .reading import batches
from .writing import Writer, writer

MODULE = "podium.core.scoring.part_main"
# What a single column of answers is called that has no name of its own.
PREDICTION = "prediction"
_UNNAMED = ("Series",)  # a column's name there is often that of the target, which is not what it holds


class _Asked:
    """Answers requests about one version."""

    def __init__(self) -> None:
        self._model: Any = None

    def __call__(self, request: Mapping[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        if request["do"] == "load":
            self._model = within("failed to load", lambda: _load(request["directory"]))
            return {}, b""
        return self._part(request), b""

    def _part(self, request: Mapping[str, Any]) -> dict[str, Any]:
        columns: tuple[str, ...] = ()
        found = batches(
            Path(request["path"]),
            request["kind"],
            (request["span"][0], request["span"][1]),
            names=request["names"],
            shown=request["shown"],
            asked=request["asked"],
            types=request["types"],
            kept=request["kept"],
        )
        path = Path(request["output"])
        with _disk(path), _writer(request) as made:
            while (batch := within("cannot be asked", lambda: next(found, None))) is not None:
                kept, table = batch
                returned = within("failed to predict", lambda table=table: self._model.predict(table))
                answers = within("gives no usable answers", lambda returned=returned: answers_of(returned))
                _ensure_fitting(answers, len(table), request["kept"], columns)
                columns = tuple(answers)
                made.add(kept, answers)
            if not columns:
                raise Failed("cannot be asked", "there are no rows, but empty lines")
        return {"rows": made.rows, "sha256": made.digest, "columns": list(columns)}


def _writer(request: Mapping[str, Any]) -> Writer:
    return writer(request["kind"], Path(request["output"]), request["made_by"], request["kept"], request["answers"])


@contextmanager
def _disk(path: Path) -> Generator[None]:
    """Tells what could not be written, a full disk among it."""
    try:
        yield
    except Failed:
        raise
    except Unmeasurable as error:
        raise Failed("gives no usable answers", error.message, error.hint) from error
    except Exception as error:
        told = getattr(error, "strerror", None) or f"{type(error).__name__}: {whole_reason(error)}"
        raise Failed("cannot be written down", f"{path.name}: {told}", "Is the disk full?") from error


def _load(directory: str) -> Any:
    from ..serving.scoring import load

    return load(Path(directory)).model


def answers_of(returned: Any) -> dict[str, Any]:
    """Returns column -> values of whatever `predict` returned: `prediction` for a single one without a name, with a
    number for each of several."""
    output = Output.of(returned)
    strange = next((column.strange for column in output.columns if column.strange), "")
    if strange or not output.width or output.width != len(output.columns):
        what = f"{strange!r}" if strange else f"{output.width} columns" if output.width else "one value for all rows"
        raise Unmeasurable(f"it answers {what}: neither numbers nor words, in some columns")
    names = ["" if output.kind in _UNNAMED else column.name for column in output.columns]
    single = len(names) == 1
    named = [name or (PREDICTION if single else f"{PREDICTION}_{place}") for place, name in enumerate(names)]
    return {name: column.values for name, column in zip(named, output.columns, strict=True)}


def _ensure_fitting(answers: Mapping[str, Any], rows: int, kept: Sequence[str], before: Sequence[str]) -> None:
    given = len(next(iter(answers.values())))
    if given != rows:
        raise Failed("gives no usable answers", f"{given} answers to {rows} rows")
    if before and tuple(answers) != tuple(before):
        raise Failed("gives no usable answers", f"{', '.join(answers)} to some rows, and {', '.join(before)} to others")
    twice = [name for name in answers if name in kept]
    if twice:
        raise Failed(
            "gives no usable answers",
            f"it answers a column {twice[0]!r}, which the rows have, too",
            "Name the columns to keep without it: --keep.",
        )


def main(arguments: Sequence[str]) -> NoReturn:
    """Answers requests until there are no more."""
    serve(_Asked())


if __name__ == "__main__":
    begin(sys.argv[1])
    main(sys.argv[1:])
