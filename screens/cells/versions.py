"""The lines about one version of a model: its lineage, images, gate reports, metrics and parameters."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.domain.containers import Image
from ...core.domain.frozen import Frozen
from ...core.domain.models import Version
from ...core.domain.text import format as fmt
from ...core.domain.verdicts import (
    CalibrationBin,
    CheckResult,
    Confusion,
    Flips,
    GateReport,
    VersionVerdict,
    quarantine_of,
)
from ...tui.glyphs import Glyphs
from ...tui.widgets.pane import Span, cells_of, fit, fit_both_ends
from ...tui.widgets.text_pane import Line
from .comparing import TELLING, flipped_rows

_MAX_REPORTS = 3
_LONGEST_CLASS = 14  # cells, of a class
_BAR = 20  # cells of a bar
_NEAR = 0.05  # how far a share may be off what was predicted
_LONGEST_NAME = 48  # cells, of a metric or a parameter


class Known(Frozen):
    """What is known of a version beside what the registry holds. `serving` are the environments that serve it,
    `images` those of all versions of its model, the newest version first."""

    serving: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()
    reports: tuple[GateReport, ...] = ()
    verdicts: tuple[VersionVerdict, ...] = ()


def version_lines(version: Version, known: Known, glyphs: Glyphs, now: float) -> list[Line]:
    quarantine = quarantine_of(known.verdicts)
    lines = [] if quarantine is None else _quarantine_lines(quarantine, glyphs)
    lines += [lineage_line(version, known.serving, glyphs["arrow"]), _made_line(version, now)]
    if version.learned is not None:
        digest = version.learned.digest.removeprefix("sha256:")[:12]
        lines.append((("learned from ", "muted"), (version.learned.words, ""), (f"   {digest}", "faint")))
    for image in known.images:
        if image.version == version.version:
            lines += image_lines(image, _older(image, known.images), now)
    if version.description:
        lines.append(((version.description, "muted"),))
    lines += _verdict_lines([each for each in known.verdicts if each is not quarantine], glyphs, now)
    for report in known.reports[:_MAX_REPORTS]:
        lines += [(), *report_lines(report, now, glyphs)]
    if not known.reports:
        lines += [(), (("No gate has looked at this version.", "faint"),)]
    metrics = [(name, fmt.number(value)) for name, value in version.metrics.items()]
    return [
        *lines,
        *_section("Metrics", metrics, glyphs),
        *_section("Parameters", sorted(version.params.items()), glyphs),
    ]


def _quarantine_lines(quarantine: VersionVerdict, glyphs: Glyphs) -> list[Line]:
    return [
        ((f"{glyphs['warn']} {quarantine.sentence}", "warn!"),),
        ((f"  podium quarantine lift v{quarantine.version} lets triggers deploy it again", "muted"),),
    ]


def _verdict_lines(verdicts: Sequence[VersionVerdict], glyphs: Glyphs, now: float) -> list[Line]:
    """Returns what the version met where, the last word first. What its gates found stands below, check by check."""
    lines: list[Line] = []
    for each in verdicts:
        glyph, role = glyphs.state(each.verdict)
        lines.append(((f"{glyph} ", role), (each.sentence, role), (f"  {fmt.when(each.at, now)}", "muted")))
    return [(), (("What it met, the last word first", "head"),), *lines] if lines else []


def _made_line(version: Version, now: float) -> Line:
    return (
        ("made ", "muted"),
        (fmt.when(version.created, now), ""),
        ("   status ", "muted"),
        (version.status.lower(), "ok" if version.status == "READY" else "warn"),
        ("   digest ", "muted"),
        (version.digest[:19], "") if version.digest else ("not fetched", "faint"),
    )


def _older(image: Image, images: Sequence[Image]) -> Image | None:
    """Returns the image of the version before, on the same engine."""
    return next((other for other in images if other.version < image.version and other.engine == image.engine), None)


def _section(title: str, pairs: list[tuple[str, str]], glyphs: Glyphs) -> list[Line]:
    return [(), ((title, "head"),), *_pairs(pairs, glyphs)] if pairs else []


def lineage_line(version: Version, serving: Sequence[str], arrow: str) -> Line:
    """commit → run → MLflow run → version → where it serves."""
    parts: list[Span] = []
    for label, value, role in (
        ("commit", version.commit[:7] or "unknown", "accent"),
        ("run", str(version.run_id) if version.run_id is not None else "none", "accent"),
        ("MLflow", version.mlflow_run[:8] or "none", "accent"),
        ("version", f"v{version.version}", "accent!"),
        ("serves", ", ".join(serving) or "nowhere", "ok!" if serving else "faint"),
    ):
        if parts:
            parts.append((f" {arrow} ", "faint"))
        parts += [(f"{label} ", "muted"), (value, role)]
    return tuple(parts)


def image_lines(image: Image, older: Image | None, now: float) -> list[Line]:
    """The serving image of a version: what it is known by, its size beside the version's before, and where it came
    from."""
    known = image.digest or image.image_id
    size = fmt.size(image.size)
    if older is not None and older.size and image.size:
        size += (
            f" ({'+' if image.size >= older.size else '-'}{fmt.size(abs(image.size - older.size))} from"
            f" v{older.version})"
        )
    lines: list[Line] = [
        (
            ("image ", "muted"),
            (known.removeprefix("sha256:")[:12], "accent!"),
            ("  " + size, ""),
            ("   built ", "muted"),
            (fmt.when(image.built, now), ""),
            (f" in {fmt.duration(image.seconds)}" if image.seconds else "", "muted"),
            (f"   run {image.run_id}" if image.run_id is not None else "", "muted"),
        )
    ]
    where = (
        f"pushed to {image.reference.partition('@')[0]}"
        if image.digest
        else f"{image.tag or 'not tagged'} on {image.engine}, not pushed"
    )
    base = f"   base {image.base}" if image.base else ""
    lines.append((("      ", ""), (where, "muted"), (base, "faint"), ("   SBOM kept" if image.sbom else "", "faint")))
    return lines


def report_lines(report: GateReport, now: float, glyphs: Glyphs) -> list[Line]:
    glyph, role = glyphs.state(report.verdict)
    against = f" against v{report.champion}" if report.champion is not None else ""
    lines: list[Line] = [
        (
            (f"Gate {report.gate}  ", "head"),
            (f"{glyph} {report.verdict}", f"{role}!"),
            (f"{against} on {fmt.count(report.rows, 'row')}, {fmt.when(report.at, now)}", "muted"),
        )
    ]
    shown = sorted(report.checks, key=lambda check: check.verdict == "pass")
    lines += [_check_line(check, glyphs) for check in shown[:40]]
    if len(shown) > 40:
        lines.append(((f"  and {len(shown) - 40} more", "faint"),))
    if report.confusion is not None:
        lines += confusion_lines(report.confusion, glyphs)
    if report.calibration:
        lines += calibration_lines(report.calibration, glyphs)
    if report.flips is not None:
        lines += flip_lines(report.flips, report.champion, glyphs)
    return lines


def confusion_lines(found: Confusion, glyphs: Glyphs) -> list[Line]:
    """Returns a row for each true class: the share of its rows that was taken for each class, the fuller the more."""
    width = min(_LONGEST_CLASS, max(6, *(cells_of(name) for name in found.classes)))
    heads = "".join(f"{fit(name, width, glyphs, 'right')}    " for name in found.classes)
    lines: list[Line] = [
        ((f"  {glyphs.text('true ↓  answered →')}  ", "muted"),),
        ((f"  {' ' * width}  ", ""), (heads, "head")),
    ]
    for place, (name, row) in enumerate(zip(found.classes, found.counts, strict=True)):
        total = sum(row) or 1
        spans: list[Span] = [(f"  {fit(name, width, glyphs, 'right')}  ", "head")]
        for column, count in enumerate(row):
            share = count / total
            shade = glyphs.shades[min(len(glyphs.shades) - 1, int(share * len(glyphs.shades)))]
            role = ("ok" if column == place else "bad") if count else "faint"
            spans += [(f"{count:>{width},} ", ""), (f"{shade * 2} ", role)]
        lines.append(tuple(spans))
    return lines


def flip_lines(found: Flips, champion: int | None, glyphs: Glyphs) -> list[Line]:
    """Returns how many rows are answered better and worse than by the champion, and some of them by name."""
    than = f"v{champion}" if champion is not None else "the champion"
    lines: list[Line] = [
        (
            (f"  against {than} ", "muted"),
            (f"{glyphs['down']} {fmt.count(found.worse, 'row')} worse", "bad" if found.worse else "muted"),
            ("  ", ""),
            (f"{glyphs['up']} {fmt.count(found.better, 'row')} better", "ok" if found.better else "muted"),
        )
    ]
    return [*lines, *flipped_rows(found, than, glyphs, 2, TELLING)]


def calibration_lines(bins: Sequence[CalibrationBin], glyphs: Glyphs) -> list[Line]:
    """Returns a row for each tenth of the probabilities: what was predicted, what came true, and if that is as said."""
    lines: list[Line] = [(("  predicted  came true", "muted"),)]
    for each in bins:
        low, high = sorted((round(each.predicted * _BAR), round(each.observed * _BAR)))
        bar = glyphs["bar"] * low + glyphs.shades[1] * (high - low)
        off = each.observed - each.predicted
        word = "as said" if abs(off) < _NEAR else "more than said" if off > 0 else "less than said"
        lines.append(
            (
                (f"  {each.predicted:>8.0%} {each.observed:>10.0%}  ", ""),
                (f"{bar:<{_BAR}} ", "ok" if abs(off) < _NEAR else "warn"),
                (f"{word}, {fmt.count(each.rows, 'row')}", "muted"),
            )
        )
    return lines


def _check_line(check: CheckResult, glyphs: Glyphs) -> Line:
    glyph, role = glyphs.state(check.verdict)
    name = check.name + (f" [{check.slice}]" if check.slice else "")
    return (
        (f"  {glyph} ", role),
        (fit_both_ends(name, 26, glyphs) + "  ", ""),
        (check.message, "muted" if role == "ok" else role),
    )


def _pairs(items: list[tuple[str, str]], glyphs: Glyphs) -> list[Line]:
    """Names and values, two beside each other while the names are short enough for that."""
    longest = max((len(name) for name, _ in items), default=0)
    several, width = (2, 20) if longest <= 20 else (1, min(longest, _LONGEST_NAME))
    cells: list[Line] = [
        ((f"  {fit_both_ends(name, width, glyphs)} ", "muted"), (fit(value, 14, glyphs, "right"), ""))
        for name, value in items
    ]
    rows = [cells[index : index + several] for index in range(0, len(cells), several)]
    return [tuple(span for cell in row for span in cell) for row in rows]
