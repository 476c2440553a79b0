"""The process of one version's model: `python -P -m podium.core.quality.model_main PARENT`.

Reads requests, a line of JSON each, from standard input and answers on standard output (see `model_process.py`). The
model gets neither: its standard input is empty and what it prints is thrown away. It ends with the process PARENT.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from ..child import end_with_parent
from ..domain.frozen import Frozen
from .metrics import Unmeasurable
from .model_process import HEAD
from .outputs import Output, encode
from .reasons import reason
from .tables import read_for


class _Failed(Exception):
    """Raised when the model's own code failed. `stage` is what it was doing, in words."""

    def __init__(self, stage: str, error: str, hint: str = "") -> None:
        super().__init__(error)
        self.stage, self.hint = stage, hint


class _Loaded(Frozen):
    """A model with the table that it is asked about."""

    model: Any
    table: Any


def _within(stage: str, call: Callable[[], Any]) -> Any:
    """Runs a model's code and contains whatever it raises, an attempt to exit among it."""
    try:
        return call()
    except Unmeasurable as error:
        raise _Failed(stage, error.message, error.hint) from error
    except BaseException as error:
        raise _Failed(stage, f"{type(error).__name__}: {reason(error)}") from error


def _load(directory: str) -> Any:
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(directory)


def _predict(request: Mapping[str, Any]) -> tuple[_Loaded, dict[str, Any], bytes]:
    """Loads the model and lets it predict every row, once."""
    model: Any = _within("failed to load", lambda: _load(request["directory"]))
    schema = model.metadata.get_input_schema()
    types = _types(schema)
    _ensure_not_told(types, request["target"])
    table = _within("cannot be asked", lambda: read_for(Path(request["path"]), request["shown"], types))
    columns = _columns(schema, [str(name) for name in table.columns if name != request["target"]])
    table = table[columns]
    returned = _within("failed to predict", lambda: model.predict(table))
    output, payload = encode(_within("gives no usable answers", lambda: Output.of(returned)))
    return _Loaded(model, table), {"output": output, "signature": _signature(model)}, payload


def _ensure_not_told(inputs: Mapping[str, str], target: str) -> None:
    """Raises _Failed if the target is an input of the model: it would be told what it has to find."""
    if target in inputs:
        raise _Failed(
            "cannot be asked",
            f"the target {target!r} is also an input in its signature",
            f"Train it without {target!r}, or correct gates.*.target.",
        )


def _types(schema: Any) -> dict[str, str]:
    """Returns column -> type of a signature with named columns; tensors and nested types are left out."""
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return {}
    return {str(spec.name): str(getattr(spec.type, "name", "")) for spec in schema.inputs}


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


def _answer(answers: IO[bytes], document: Mapping[str, Any], payload: bytes = b"") -> None:
    written = json.dumps(document).encode()
    answers.write(HEAD.pack(len(written), len(payload)))
    answers.write(written)
    answers.write(payload)
    answers.flush()


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    loaded: _Loaded | None = None
    for line in requests:
        request: dict[str, Any] = json.loads(line)
        try:
            if request["do"] == "predict":
                loaded, document, payload = _predict(request)
                _answer(answers, document, payload)
            else:
                assert loaded is not None
                asked = loaded
                taken = _within("failed on a single row", lambda: _latencies(asked, request))  # noqa: B023
                _answer(answers, {"seconds": taken})
        except _Failed as error:
            _answer(answers, {"stage": error.stage, "error": str(error), "hint": error.hint})


def main(arguments: Sequence[str]) -> NoReturn:
    """Answers requests until there are no more."""
    requests, answering = os.fdopen(os.dup(0), "rb"), os.dup(1)
    with Path(os.devnull).open("r+b") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    warnings.simplefilter("ignore")
    with requests, os.fdopen(answering, "wb") as answers:
        _serve(requests, answers)
    # What a model left running in threads, or registered for the end, is not waited for.
    os._exit(0)


if __name__ == "__main__":
    # A child of the preloading server is ended by that.
    end_with_parent(signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        os._exit(1)
    main(sys.argv[1:])
