"""board: is it what podium.yaml declares, does it run, and is the model well?"""

from __future__ import annotations

from typing import Any

from ....core.cockpit import Cockpit
from ....core.domain.infra.board import Answer, BoardRow
from ...options import Output
from ...text import diagnostics, output
from ...text.output import Column, Format

_COLUMNS = (
    Column("NAME"),
    Column("STATE", states=True),
    Column("DECLARED", flexible=True),
    Column("REAL", flexible=True),
    Column("MODEL", flexible=True),
)


def board(cockpit: Cockpit, output_format: Output = Format.TABLE) -> int:
    """Show for each environment and infrastructure whether it is as declared, whether it runs, and how its model is.

    \b
    Example:
      podium board
      podium board -o json
    """
    rows = cockpit.board.list()
    cells = [(row.name, row.mark.value, *(answer.words for answer in row.answers)) for row in rows]
    output.rows(output_format, _COLUMNS, cells, map(shape, rows))
    return diagnostics.DONE


def shape(row: BoardRow) -> dict[str, Any]:
    """Returns a row of the board as JSON has it."""
    return {
        "kind": row.kind,
        "name": row.name,
        "protected": row.protected,
        "state": row.mark.value,
        "declared": _answer(row.declared),
        "real": _answer(row.real),
        "model": _answer(row.model),
    }


def _answer(answer: Answer) -> dict[str, str]:
    return {"state": answer.mark.value, "words": answer.words}
