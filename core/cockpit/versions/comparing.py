"""`cockpit.comparing`: versions and runs side by side, their export, and the query that chooses versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...beneath.new_file import save
from ...domain.comparisons import MOST, Subject
from ...domain.text import whole_number
from ...domain.verdicts import last_word
from ...errors import ConfigError, NotFound, PodiumError, UsageError
from ..opened import OpenProject

if TYPE_CHECKING:
    from ...comparison.rows import Known
    from ...domain.comparisons import ComparedRow, Comparison
    from ...domain.models import Version
    from ...domain.runs import Run
    from ..models import Models
    from ..repository import ProjectRepository

_RUN = "run:"


class Comparing:
    """Reads the journal, and a version's files where they are on this machine. Asks no registry."""

    def __init__(self, opened: OpenProject, models: Models, repository: ProjectRepository) -> None:
        self._opened = opened
        self._models = models
        self._repository = repository

    def compare(self, names: Sequence[str], model: str | None = None) -> Comparison:
        """Returns versions (`3`, `v3`, an alias, a commit) and runs (`run:41`) side by side, each once. Raises
        UsageError for fewer than two or more than MOST, NotFound for what does not exist."""
        from ...comparison.rows import compare

        if len(names) < 2:
            raise UsageError("a comparison needs at least two versions", hint="podium compare champion challenger")
        known: dict[str, Known] = {}
        for name in names:
            each = self._run(name, model) if name.startswith(_RUN) else self._version(self._models.resolve(name, model))
            known.setdefault(each.subject.label, each)
        if not 2 <= len(known) <= MOST:
            raise UsageError(
                f"a comparison is of two to {MOST} different versions or runs, not of {len(known)}",
                hint="podium compare champion challenger",
            )
        return compare(list(known.values()), self.looked_at())

    def looked_at(self) -> dict[str, str]:
        """Returns metric -> goal of those that `register` steps choose by and gates check, in this order; none where
        podium.yaml cannot be read."""
        from ...comparison.goals import chosen

        try:
            return chosen(self._opened.config)
        except ConfigError:
            return {}

    def where(self, versions: Sequence[Version], query: str, model: str | None = None) -> Sequence[Version]:
        """Returns the versions that a query chooses. Raises UsageError for a query that cannot be read."""
        wanted = self.condition(query)
        verdicts = self._models.verdicts(model)
        return [each for each in versions if wanted(each, last_word(verdicts.get(each.version, ()), each.verdict))]

    def condition(self, query: str) -> Callable[[Version, str], bool]:
        """Returns whether a version, with the last word about it, is what a query asks for. Reads nothing. Raises
        UsageError for a query that cannot be read."""
        from ...comparison.where import parse

        return parse(query)

    def is_query(self, text: str) -> bool:
        """Tells whether what was typed is a query (`roc_auc > 0.8`) rather than a word to look for."""
        from ...comparison.where import looks_like_one

        return looks_like_one(text)

    def asked_about(self, query: str) -> tuple[str, ...]:
        """Returns the names that a query asks about."""
        from ...comparison.where import names

        return names(query)

    def difference(self, old: str, new: str) -> Sequence[tuple[str, str]]:
        """Returns two long values line by line, as (mark, line): `-`, `+`, or a space for what both have."""
        from ...comparison.lines import difference

        return difference(old, new)

    def whole(self, text: str) -> Sequence[str]:
        """Returns a long value as lines."""
        from ...comparison.lines import lines_of

        return lines_of(text)

    def written(self, comparison: Comparison, form: str, rows: Sequence[ComparedRow] | None = None) -> str:
        """Returns rows of a comparison (default: all without noise) as `markdown`, `csv`, `html` or `json`."""
        from ...comparison.export import written

        return written(comparison, form, comparison.shown() if rows is None else rows)

    def document(self, comparison: Comparison) -> dict[str, Any]:
        """Returns what a program reads of a comparison, noise included."""
        from ...comparison.export import document

        return document(comparison, comparison.rows)

    def save(self, comparison: Comparison, name: str, rows: Sequence[ComparedRow]) -> Path:
        """Writes rows of a comparison into a new file, below the project's directory where `name` is relative, in the
        format of its ending. Raises UsageError for another ending, Refused if the file exists."""
        from ...comparison.export import format_of, written

        text = written(comparison, format_of(name), rows)
        return save(self._opened.home, name, lambda file: file.write(text))[0]

    # What is known of each

    def _version(self, version: Version) -> Known:
        from ...comparison.contents import contents
        from ...comparison.rows import Known

        journal = self._opened.journal
        reports = tuple(self._models.gate_reports(version))
        verdicts = self._models.verdicts_of(version)
        images = journal.images.of(version.model, version.version)
        return Known(
            Subject(f"v{version.version}", version.aliases, version),
            last_word(verdicts, version.verdict),
            verdicts[0].sentence if verdicts else "",
            reports,
            version.metrics,
            version.params,
            {
                "subject": self._said(version.commit),
                **contents(version, reports, images, self._opened.config.state),
            },
            version.tags,
        )

    def _said(self, commit: str) -> str:
        """Returns the subject of a commit; empty if it is not known here."""
        try:
            return self._repository.commit(commit).commit.subject if commit else ""
        except (PodiumError, OSError):
            return ""

    def _run(self, name: str, model: str | None) -> Known:
        """Returns what is known of a run: its own facts, and those of the newest version that it made."""
        from ...comparison.rows import Known

        text = name.removeprefix(_RUN)
        number = whole_number(text)
        if number is None:
            raise NotFound(f"there is no run {text!r}", hint="`podium ps` lists the runs")
        run = self._opened.journal.runs.get(number)
        made = self._opened.journal.versions.made_by(model or self._opened.config.mlflow.model, run.id)
        version = self._version(made[0]) if made else Known(Subject(""))
        contents = {**_facts(run), **{name: text for name, text in version.contents.items() if name != "run"}}
        subject = Subject(f"run {run.id}", version.subject.aliases, version.subject.version, run)
        return Known(
            subject,
            version.verdict or str(run.state),
            version.why or run.message,
            version.reports,
            version.metrics,
            {**version.params, **run.params},
            {**contents, "commit": run.commit},
            version.tags,
        )


def _facts(run: Run) -> dict[str, str]:
    from ...domain.text.format import duration

    took = run.ended - run.started if run.ended is not None and run.started is not None else None
    return {
        "pipeline": run.name,
        "state": str(run.state),
        "took": duration(took),
        "started by": run.who,
        "why": run.message or run.why,
    }
