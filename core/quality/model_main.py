"""The process of one version's model: `python -P -m podium.core.quality.model_main PARENT`.

Reads requests, a line of JSON each, from standard input and answers on standard output (see `model_process.py`). The
model gets neither: its standard input is empty and what it prints is thrown away. It ends with the process PARENT.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..domain.frozen import Frozen
from .column_types import types_of
from .contained import Failed, begin, serve, within
from .outputs import Output, encode
from .tables import read_for


class _Loaded(Frozen):
    """A model with the table that it is asked about."""

    model: Any
    table: Any


def _load(directory: str) -> Any:
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(directory)


def _predict(request: Mapping[str, Any]) -> tuple[_Loaded, dict[str, Any], bytes]:
    """Loads the model and lets it predict every row, once."""
    model: Any = within("failed to load", lambda: _load(request["directory"]))
    schema = model.metadata.get_input_schema()
    types = types_of(schema)
    _ensure_not_told(types, request["targets"])
    table = within("cannot be asked", lambda: read_for(Path(request["path"]), request["shown"], types))
    columns = _columns(schema, [str(name) for name in table.columns if name not in request["targets"]])
    table = table[columns]
    returned = within("failed to predict", lambda: model.predict(table))
    output, payload = encode(within("gives no usable answers", lambda: Output.of(returned, request["wanted"])))
    return _Loaded(model, table), {"output": output, "signature": _signature(model)}, payload


def _ensure_not_told(inputs: Mapping[str, str], targets: Sequence[str]) -> None:
    """Raises Failed if a target is an input of the model: it would be told what it has to find."""
    target = next((each for each in targets if each in inputs), None)
    if target is not None:
        raise Failed(
            "cannot be asked",
            f"the target {target!r} is also an input in its signature",
            f"Train it without {target!r}, or correct gates.*.target.",
        )


def _columns(schema: Any, present: Sequence[str]) -> list[str]:
    """Returns the columns that the model gets: those of its signature, else all but the target."""
    wanted = schema.input_names() if schema is not None and schema.has_input_names() else None
    return [name for name in (present if wanted is None else wanted) if name in present]


def _signature(model: Any) -> list[str] | None:
    signature = model.metadata.signature
    if signature is None:
        return None
    written = signature.to_dict()
    return [
        json.dumps(json.loads(written[part]), sort_keys=True) if written.get(part) else ""
        for part in ("inputs", "outputs")
    ]


def _latencies(loaded: _Loaded, request: Mapping[str, Any]) -> list[float]:
    """Returns the seconds of single-row predictions: at most `calls` of them after `warm_up`, for at most `seconds`
    in all."""
    table, warm_up = loaded.table, int(request["warm_up"])
    rows = [table.iloc[[number % len(table)]] for number in range(int(request["calls"]) + warm_up)]
    taken: list[float] = []
    end = time.monotonic() + float(request["seconds"])
    for number, row in enumerate(rows):
        start = time.perf_counter()
        loaded.model.predict(row)
        if number >= warm_up:
            taken.append(time.perf_counter() - start)
        if time.monotonic() > end and taken:
            break
    return taken


class _Asked:
    """Answers requests about one model."""

    def __init__(self) -> None:
        self._loaded: _Loaded | None = None

    def __call__(self, request: Mapping[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        if request["do"] == "predict":
            self._loaded, document, found = _predict(request)
            return document, found
        loaded = self._loaded
        assert loaded is not None
        return {"seconds": within("failed on a single row", lambda: _latencies(loaded, request))}, b""


def main(arguments: Sequence[str]) -> NoReturn:
    """Answers requests until there are no more."""
    serve(_Asked())


if __name__ == "__main__":
    begin(sys.argv[1])
    main(sys.argv[1:])
