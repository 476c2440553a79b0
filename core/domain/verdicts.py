"""Verdicts and reports: the result type that gates, canaries, monitors and drift share, and what a version met on its
way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum

from .frozen import Frozen


class Verdict(StrEnum):
    """The result of a check. Errors and missing data never pass; inconclusive stops and asks a person."""

    PASS = "pass"  # noqa: S105
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"
    ERROR = "error"


_SEVERITY = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.ERROR: 2, Verdict.FAIL: 3}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Returns the verdict of the whole. Without any verdict it is an error, never a pass; a failure outranks an
    error."""
    return max(verdicts, key=_SEVERITY.__getitem__, default=Verdict.ERROR)


class CheckResult(Frozen):
    """The result of one check of a gate."""

    name: str
    verdict: Verdict
    message: str
    value: float | None = None
    """The candidate's value."""
    baseline: float | None = None
    """The champion's value."""
    low: float | None = None
    """The lower bound of the interval (95 % unless configured) of candidate − champion, in the direction where more
    is better."""
    high: float | None = None
    """The upper bound of the same interval."""
    limit: float | None = None
    """The limit that the check is configured with."""
    rows: int | None = None
    """How many rows the check read."""
    slice: str = ""
    """The slice of the data that was checked; empty for all rows."""
    value_low: float | None = None
    """The lower bound of the interval of `value` itself, where it was judged by a limit."""
    value_high: float | None = None
    """The upper bound of the same interval."""


class Confusion(Frozen):
    """How many rows of each class were taken for which."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """A row for each true class, with a count for each class that was answered."""


class CalibrationBin(Frozen):
    """Rows that were given about the same probability."""

    predicted: float
    """Their mean probability."""
    observed: float
    """The share of them that came true."""
    rows: int


class FlippedRow(Frozen):
    """A row that one of two models answered rightly, and the other one not."""

    row: int
    """Its place among the gate's rows, from 1."""
    truth: str
    before: str
    """What the champion answered."""
    after: str
    """What the candidate answered."""
    values: tuple[str, ...] = ()
    """Its inputs, in the order of `Flips.columns`; empty in reports of earlier versions."""

    @property
    def worse(self) -> bool:
        """Whether it is the champion that answered rightly."""
        return self.before == self.truth


class Flips(Frozen):
    """The rows on which a candidate is right where the champion was wrong, and the other way round."""

    better: int
    worse: int
    rows: tuple[FlippedRow, ...]
    """Some of them, those that are worse first."""
    columns: tuple[str, ...] = ()
    """The columns of the inputs that are kept, first those in which these rows differ most from the others."""

    def words(self, row: FlippedRow, than: str, most: int | None = None) -> str:
        """Returns what a row is, what was answered, by `than` too, and its inputs: the `most` telling ones, or all."""
        answers = f"is {row.truth}, answered {row.after}, {than} {row.before}"
        inputs = [f"{name} {value}" for name, value in zip(self.columns, row.values, strict=False)]
        more = len(inputs) - most if most is not None else 0
        told = [*inputs[:most], *([f"and {more} more"] if more > 0 else [])]
        return f"{answers}: {', '.join(told)}" if told else answers


class GateReport(Frozen):
    """The report of a gate about one candidate version."""

    gate: str
    model: str
    version: int
    champion: int | None
    """The version that the candidate was compared with; None if there was none."""
    verdict: Verdict
    checks: tuple[CheckResult, ...]
    at: float
    run_id: int | None = None
    data: str = ""
    rows: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    confusion: Confusion | None = None
    """Of a classifier whose answers have labels; None in reports of earlier versions."""
    calibration: tuple[CalibrationBin, ...] = ()
    """Of a classifier whose answers have probabilities, by rising probability."""
    data_digest: str = ""
    """`sha256:…` of the file with the rows, or of all files of a directory; empty in reports of earlier versions."""
    flips: Flips | None = None
    """Of a classifier that was compared with the champion; None in reports of earlier versions."""


# A ledger row's message says by its beginning how a canary was taken back; rows of earlier versions are read by it too.
CANARY_ENDS = "the canary ends in"
CANARY_ABORTED = "aborted by"


class Source(StrEnum):
    """What gave a verdict about a version. Commands print the names, so names are only ever added."""

    GATE = "gate"
    REPLAY = "replay"
    CANARY = "canary"
    ROLLOUT = "rollout"
    ROLLBACK = "rollback"
    QUARANTINE = "quarantine"


class VersionVerdict(Frozen):
    """One verdict about a version: of a gate, of its traffic somewhere, or of a person."""

    version: int
    source: Source
    verdict: Verdict
    at: float
    """Seconds since the epoch."""
    environment: str = ""
    """Where it was given; empty for a gate and for a quarantine, which are about every environment."""
    gate: str = ""
    """The gate's name."""
    champion: int | None = None
    """The version that a gate or a replay compared it with."""
    who: str = ""
    """The person who gave it, or who asked for the rollout; empty for a gate."""
    words: str = ""
    """Why, in words; may be empty."""
    run_id: int | None = None

    @property
    def word(self) -> str:
        """Returns it in one or two words, for a table's cell: `pass`, `canary fail`, `rolled back`, `quarantined`."""
        if self.source in (Source.QUARANTINE, Source.ROLLBACK):
            return "quarantined" if self.source is Source.QUARANTINE else "rolled back"
        if self.verdict is Verdict.PASS or self.source is Source.GATE:
            return self.verdict.value
        return f"{self.source} {self.verdict}"

    @property
    def title(self) -> str:
        """Returns what gave it and where: `gate release`, `canary in production`."""
        if self.source is Source.GATE:
            return f"gate {self.gate}"
        if self.source is Source.QUARANTINE:
            return f"quarantined by {self.who}"
        if self.source is Source.ROLLBACK:
            return f"rolled back from {self.environment} by {self.who}"
        return f"{self.source} in {self.environment}"

    @property
    def sentence(self) -> str:
        """Returns all that it says on one line, without the time."""
        said = self.source in (Source.QUARANTINE, Source.ROLLBACK) or self.words.startswith(CANARY_ENDS)
        head = self.title if said else f"{self.title}: {self.verdict}"
        return f"{head}: {self.words}" if self.words else head

    @property
    def bad(self) -> bool:
        """Tells whether it speaks against the version."""
        return self.verdict is not Verdict.PASS


def in_order(verdicts: Iterable[VersionVerdict]) -> tuple[VersionVerdict, ...]:
    """Returns the verdicts about one version, the last word first: a quarantine that is in force, else what took it
    back, else the newest of its gates and of the canaries that it came through; then the others, newest first. A replay
    by hand and a rollout that nobody watched inform, and are the last word only where there is no other."""
    found = sorted(verdicts, key=lambda each: -each.at)
    judged = (each for each in found if each.source is Source.GATE or (each.source is Source.CANARY and not each.bad))
    first = quarantine_of(found) or taken_back(found) or next(judged, None)
    return tuple(found) if first is None else (first, *(each for each in found if each is not first))


def last_word(verdicts: Sequence[VersionVerdict], verdict: Verdict | None) -> str:
    """Returns the last word about a version in one or two words, of `verdicts` in order; without any the registry's
    `verdict`, and nothing if it has none."""
    if verdicts:
        return verdicts[0].word
    return verdict.value if verdict is not None else ""


def quarantine_of(verdicts: Iterable[VersionVerdict]) -> VersionVerdict | None:
    """Returns the quarantine that is in force; None without one."""
    return next((each for each in verdicts if each.source is Source.QUARANTINE), None)


def taken_back(verdicts: Sequence[VersionVerdict]) -> VersionVerdict | None:
    """Returns the last canary or rollback that took the version back, unless it has been given all traffic in the same
    environment since."""
    given: set[str] = set()
    for each in sorted(verdicts, key=lambda each: -each.at):
        if each.source in (Source.CANARY, Source.ROLLOUT) and not each.bad:
            given.add(each.environment)
        elif each.source in (Source.CANARY, Source.ROLLBACK) and each.environment not in given:
            return each
    return None
