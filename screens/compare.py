"""Compare: marked versions side by side. What differs stands out; which way is better is the gate's to say."""

from __future__ import annotations

from textual.app import ComposeResult

from ..core.domain.models import ComparedRow, Comparison, Version
from ..core.domain.text import format as fmt
from ..tui.context import Context
from ..tui.widgets.pane import Cell
from ..tui.widgets.table import Column, Table
from .base import PodiumScreen

_WIDTH = 16


class CompareScreen(PodiumScreen):
    title_id = "compare"

    def __init__(self, comparison: Comparison) -> None:
        super().__init__()
        self._comparison = comparison
        self._differing = False

    def body(self) -> ComposeResult:
        yield Table[ComparedRow](
            "Compare",
            self._columns(),
            key=lambda row: (row.kind, row.name),
            text=lambda row: f"{row.kind} {row.name}",
            id="rows",
        )

    def _columns(self) -> tuple[Column[ComparedRow], ...]:
        def name(row: ComparedRow) -> Cell:
            return (
                (f"{self.glyphs['warn'] if row.differs else ' '} ", "warn"),
                (row.name, "text!" if row.differs else "muted"),
            )

        def value(index: int) -> Column[ComparedRow]:
            version = self._comparison.versions[index]
            return Column(
                _title(version),
                lambda row: ((_shown(row.values[index]), "" if row.differs else "muted"),),
                width=_WIDTH,
                flex=1,
                align="right",
            )

        def difference(row: ComparedRow) -> Cell:
            first, last = row.values[0], row.values[-1]
            if (
                row.kind == "metric"
                and isinstance(first, (int, float))
                and isinstance(last, (int, float))
                and row.differs
            ):
                return ((fmt.signed(last - first), "accent"),)
            return ""

        return (
            Column("", lambda row: ((row.kind, "faint"),), width=7, sort=lambda row: row.kind),
            Column("", name, width=16, flex=1, sort=lambda row: row.name, both_ends=True),
            *(value(index) for index in range(len(self._comparison.versions))),
            Column(
                f"v{self._comparison.versions[-1].version} - v{self._comparison.versions[0].version}",
                difference,
                width=11,
                align="right",
            ),
        )

    def show(self) -> None:
        table = self.query_one("#rows", Table)
        rows = [row for row in self._comparison.rows if row.differs or not self._differing]
        table.set_notice(("These versions do not differ.", "muted"))
        table.set_rows(rows)
        differing = sum(row.differs for row in self._comparison.rows)
        names = ", ".join(f"v{version.version}" for version in self._comparison.versions)
        if not table.filter_text:
            hint = "only those; enter shows all" if self._differing else "enter shows only those"
            table.title(f"Compare {names}", f"{differing} of {len(self._comparison.rows)} rows differ ({hint})")

    def do_open(self) -> None:
        self._differing = not self._differing
        self.show()

    def context(self) -> Context:
        return self.make_context() if self.ready else Context(screen="compare")


def _title(version: Version) -> str:
    return f"v{version.version}" + (f" {version.aliases[0]}"[: _WIDTH - 4] if version.aliases else "")


def _shown(value: str | float | None) -> str:
    return "–" if value is None else value if isinstance(value, str) else fmt.number(value)
