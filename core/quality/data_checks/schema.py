"""The schema of a table: what the training data has, or a schema of pandera in a Python file of the project."""

from __future__ import annotations

import runpy
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from ...domain.text.format import count
from ...domain.verdicts import CheckResult, Verdict
from ...errors import Interrupted
from ..metrics import Unmeasurable, listed
from ..reasons import reason
from .kinds import EMPTY, kind_of
from .rows import Rows, named, result, shown

_INSTALL = "pip install 'podium[pandera]' beside Podium, or leave `pandera` out to take the schema from `training`"


def schema(rows: Rows) -> Sequence[CheckResult]:
    """Judges the table by the pandera schema where one is named, else by the training data."""
    return [_by_pandera(rows) if rows.spec.pandera else _by_training(rows)]


def _by_training(rows: Rows) -> CheckResult:
    known = rows.known()
    wanted = list(rows.spec.columns or known.columns)
    if (strange := next((name for name in wanted if name not in known.columns), None)) is not None:
        raise Unmeasurable(f"{known.shown} has no column {strange!r}", hint=f"It has: {listed(known.columns)}.")
    present = {str(name) for name in rows.frame.columns}
    wrong = {name: "is missing" for name in wanted if name not in present}
    for name in wanted:
        held, expected = kind_of(rows.frame[name]) if name in present else EMPTY, known.columns[name].kind
        if EMPTY not in (held, expected) and held != expected:
            wrong[name] = f"holds {held} instead of {expected}"
    new = sorted(present - set(known.columns)) if not rows.spec.columns else []
    if wrong:
        return result("schema", rows, Verdict.FAIL, f"against {known.shown}: {named(wrong)}")
    more = f"; new and not looked at: {', '.join(map(shown, new[:5]))}" if new else ""
    return result("schema", rows, Verdict.PASS, f"the {count(len(wanted), 'column')} of {known.shown}{more}")


def _by_pandera(rows: Rows) -> CheckResult:
    """Has pandera find all that is wrong at once. Of a value that is wrong only its column and check are told."""
    try:
        from pandera.errors import SchemaErrors  # pyright: ignore
    except ImportError as error:
        raise Unmeasurable(f"a pandera schema needs pandera: {error}", hint=f"{_INSTALL}.") from error
    wanted: Any = _named(rows, rows.spec.pandera)
    try:
        wanted.validate(rows.frame, lazy=True)
    except SchemaErrors as error:  # pyright: ignore[reportUnknownVariableType]
        cases: dict[str, Any] = cast("Any", error).failure_cases
        found = Counter(map(_case, *(cases[part].tolist() for part in ("column", "check", "failure_case"))))
        words = [f"{column} {check}: {count(times, 'case')}" for (column, check), times in found.most_common(5)]
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        message = f"against {rows.spec.pandera}: {'; '.join(words)}{more}"
        return result("schema", rows, Verdict.FAIL, message, value=float(sum(found.values())))
    except Interrupted:
        raise
    except Exception as error:
        raise Unmeasurable(f"{rows.spec.pandera} cannot judge {rows.shown}: {reason(error)}") from error
    return result("schema", rows, Verdict.PASS, f"nothing is wrong by {rows.spec.pandera}")


def _case(column: Any, check: Any, wrong: Any) -> tuple[str, str]:
    """Returns the column and the check. Of a check of the columns themselves, such as that one is missing, what is
    wrong is the column."""
    return shown(wrong if str(check).startswith("column_in_") else column), shown(check)


def _named(rows: Rows, place: str) -> Any:
    """Returns the schema that `FILE.py:NAME` says. The file is code of the project and runs in this process, which is
    the step's own."""
    file, _, name = place.rpartition(":")
    path = rows.locate(file)
    if not path.is_file():
        raise Unmeasurable(f"the schema's file {file} does not exist", hint="Correct the check's `pandera`.")
    try:
        found = runpy.run_path(str(path), run_name="podium_schema")
    except Interrupted:
        raise
    except (Exception, SystemExit) as error:
        raise Unmeasurable(f"{file} cannot be run: {type(error).__name__}: {reason(error)}") from error
    if name not in found or not hasattr(found[name], "validate"):
        raise Unmeasurable(
            f"{file} has no schema {name!r}", hint="Name a DataFrameSchema or DataFrameModel: pandera: schema.py:NAME."
        )
    return found[name]
