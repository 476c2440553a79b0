"""replay: captured requests to a candidate without traffic, and how its answers differ from what serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ...core.cockpit import Cockpit
from ...core.domain.durations import parse_duration, parse_percent
from ...core.domain.format import moment
from ...core.domain.models import CHALLENGER
from ...core.domain.replay import ReplayLimits
from ...core.errors import UsageError
from ..completion import complete_version
from ..interaction.attend import attend, run_headline
from ..options import EnvironmentName, FollowOptions
from ..text import diagnostics, output
from ..text.output import Column, Format
from .models import refresh

_DEFAULT = ReplayLimits()
VersionOption = Annotated[
    str,
    typer.Option(
        "--version",
        metavar="VERSION",
        help="The candidate: 3, an alias, or a commit's beginning.",
        autocompletion=complete_version,
    ),
]
_CHECKS = (Column("VERDICT", states=True), Column("CHECK"), Column("WHAT WAS FOUND", flexible=True))


def share(text: str | float) -> float:
    """Reads `0.05` or `5%` as 0.05. The option's default comes as a number."""
    percent = parse_percent(text) if isinstance(text, str) else None
    value = float(text) if percent is None else percent
    if not 0.0 <= value < float("inf"):
        raise ValueError(text)
    return value


def seconds(text: str) -> float:
    """Reads `90s`, `10m`, `1h30m`, `7d` as seconds, as podium.yaml has them."""
    value = parse_duration(text)
    if not value:
        raise ValueError(text)
    return value


def replay(
    cockpit: Cockpit,
    options: FollowOptions,
    environment: EnvironmentName = None,
    version: VersionOption = CHALLENGER,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=100_000, help="Send the newest N captured requests.")
    ] = _DEFAULT.limit,
    since: Annotated[
        float | None,
        typer.Option(
            "--since",
            metavar="TIME",
            parser=seconds,
            help="Only what was captured in this time: 90s, 10m, 1h30m, 7d.",
            show_default=False,
        ),
    ] = None,
    at_least: Annotated[
        int | None,
        typer.Option(
            "--at-least",
            metavar="N",
            min=1,
            help="Fewer requests are inconclusive (100, or --limit).",
            show_default=False,
        ),
    ] = None,
    max_errors: Annotated[
        int,
        typer.Option("--max-errors", metavar="N", min=0, help="Requests that it may answer worse than what serves."),
    ] = _DEFAULT.max_errors,
    max_differing: Annotated[
        float,
        typer.Option(
            "--max-differing",
            metavar="SHARE",
            parser=share,
            help="Predictions that may differ: 5% or 0.05.",
            show_default="5%",
        ),
    ] = _DEFAULT.max_differing,
    max_slowdown: Annotated[
        float,
        typer.Option(
            "--max-slowdown",
            metavar="SHARE",
            parser=share,
            help="How much slower the 95th percentile may be.",
            show_default="20%",
        ),
    ] = _DEFAULT.max_slowdown,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            metavar="NUMBER",
            min=0.0,
            help="Closer numbers are the same (1e-6; of probabilities the class).",
            show_default=False,
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", metavar="N", min=1, max=64, help="Requests sent at the same time.")
    ] = _DEFAULT.concurrency,
) -> int:
    """Send captured production requests to a candidate that gets no traffic, and compare it with what serves:
    predictions, errors, latency.

    \b
    Example:
      podium replay -e production --version challenger
      podium replay -e production --version 4 --since 1h --max-differing 2% -o json
    """
    if at_least is not None and at_least > limit:
        raise UsageError(
            f"--at-least {at_least} is above --limit {limit}: nothing could pass", hint="raise --limit, or ask for less"
        )
    name = environment or cockpit.environments.default()
    cockpit.project.config.environment(name)
    refresh(cockpit, offline=False)
    number = cockpit.models.resolve(version).version
    limits = ReplayLimits(
        at_least=min(_DEFAULT.at_least, limit) if at_least is None else at_least,
        limit=limit,
        since=since,
        tolerance=tolerance,
        max_errors=max_errors,
        max_differing=max_differing,
        max_slowdown=max_slowdown,
        concurrency=concurrency,
    )
    run = cockpit.environments.replay(name, number, limits, why=options.why)
    attended = attend(
        cockpit,
        run,
        detach=options.detach,
        quiet=options.quiet,
        output_format=options.output_format,
        headline=run_headline(run),
        document=False,
    )
    if attended is None:
        return diagnostics.DONE
    found = (step.results.get("report") for step in attended.detail.steps)
    report = next((each for each in found if isinstance(each, dict)), None)
    if report is not None:
        _show(report, options.output_format)
    return attended.ending()


def _show(report: Mapping[str, Any], output_format: Format) -> None:
    if output_format is Format.JSON:
        output.document(shape(report))
        return
    cells = [(check["verdict"], check["name"], check["message"]) for check in report["checks"]]
    output.rows(output_format, _CHECKS, cells, ())
    if output_format is Format.TABLE and report["requests"]:
        output.line()
        output.pairs(_figures(report))


def shape(report: Mapping[str, Any]) -> dict[str, Any]:
    """As every JSON of ours has it: times in ISO 8601, a run by the name `run`."""
    return {
        **{key: value for key, value in report.items() if key != "run_id"},
        "run": report["run_id"],
        "at": moment(report["at"]),
    }


def _figures(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    classes = report["changed_labels"] is not None
    latency = [
        f"{name} {_ms(value)} (v{report['champion']}: {_ms(report['champion_latency'][name])})"
        for name, value in report["latency"].items()
    ]
    sizes = [f"{name} {value:.3g}" for name, value in report["sizes"].items()]
    return [
        ("replayed", f"{report['requests']} of {report['captured']} captured requests, {report['rows']} predictions"),
        ("identical", str(report["identical"])),
        ("other numbers, same class", str(report["close"]) if classes else ""),
        ("differing", str(report["differing"])),
        ("changed labels", str(report["changed_labels"]) if classes else ""),
        ("distance of numbers", ", ".join(sizes)),
        ("errors", str(report["errors"])),
        ("refused by both", str(report["refused"]) if report["refused"] else ""),
        ("only the champion failed", str(report["champion_errors"]) if report["champion_errors"] else ""),
        (
            "answered otherwise then",
            f"{report['unsteady']} requests: the champion's predictions are not steady" if report["unsteady"] else "",
        ),
        ("latency", ", ".join(latency)),
    ]


def _ms(value: float) -> str:
    return f"{value * 1000:.3g} ms"
