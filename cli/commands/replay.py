"""replay: sends captured requests to a candidate without traffic, and compares its answers with those of the serving
version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ...core.cockpit import Cockpit
from ...core.domain.frozen import Frozen
from ...core.domain.models import CHALLENGER
from ...core.domain.replay import ReplayLimits
from ...core.domain.text.durations import parse_duration, parse_percent
from ...core.domain.text.format import milliseconds, moment
from ...core.errors import UsageError
from ..completion import complete_version
from ..interaction.attend import attend, run_headline
from ..options import VERSION_HELP, EnvironmentName, FollowOptions
from ..text import diagnostics, output
from ..text.output import Column, Format
from .models import refresh

_DEFAULT = ReplayLimits()
_CHECKS = (Column("VERDICT", states=True), Column("CHECK"), Column("WHAT WAS FOUND", flexible=True))


def share(text: str | float) -> float:
    """Reads `0.05` or `5%` as 0.05. The option's default comes as a number."""
    percent = parse_percent(text) if isinstance(text, str) else None
    value = float(text) if percent is None else percent
    if not 0.0 <= value < float("inf"):
        raise ValueError(text)
    return value


def seconds(text: str) -> float:
    """Reads a duration as podium.yaml has them, `90s`, `10m`, `1h30m` or `7d`, as seconds."""
    value = parse_duration(text)
    if not value:
        raise ValueError(text)
    return value


def _option(name: str, metavar: str, help: str, **more: Any) -> Any:
    return typer.Option(f"--{name}", metavar=metavar, help=help, **more)


Version = Annotated[
    str, _option("version", "VERSION", f"The candidate. {VERSION_HELP}", autocompletion=complete_version)
]
Limit = Annotated[int, _option("limit", "N", "Send the newest N captured requests.", min=1, max=100_000)]
Since = Annotated[
    float | None,
    _option(
        "since",
        "TIME",
        "Send only requests captured in the last TIME: 90s, 10m, 1h30m, 7d.",
        parser=seconds,
        show_default=False,
    ),
]
AtLeast = Annotated[
    int | None,
    _option(
        "at-least",
        "N",
        f"With fewer than N requests the verdict is inconclusive. Default: {_DEFAULT.at_least}, or --limit if lower.",
        min=1,
        show_default=False,
    ),
]
MaxErrors = Annotated[
    int, _option("max-errors", "N", "How many requests the candidate may fail that the champion answers.", min=0)
]
MaxDiffering = Annotated[
    float,
    _option(
        "max-differing",
        "SHARE",
        "The share of predictions that may differ, as 5% or 0.05.",
        parser=share,
        show_default="5%",
    ),
]
MaxSlowdown = Annotated[
    float,
    _option(
        "max-slowdown",
        "SHARE",
        "How much slower than the champion's the 95th percentile may be.",
        parser=share,
        show_default="20%",
    ),
]
Tolerance = Annotated[
    float | None,
    _option(
        "tolerance",
        "NUMBER",
        "Numbers that differ by less are the same. Default: 1e-6; of probabilities, only the class counts.",
        min=0.0,
        show_default=False,
    ),
]
Concurrency = Annotated[int, _option("concurrency", "N", "How many requests are sent at the same time.", min=1, max=64)]


class LimitOptions(Frozen):
    """The limits of a replay, as options."""

    limit: Limit = _DEFAULT.limit
    since: Since = None
    at_least: AtLeast = None
    max_errors: MaxErrors = _DEFAULT.max_errors
    max_differing: MaxDiffering = _DEFAULT.max_differing
    max_slowdown: MaxSlowdown = _DEFAULT.max_slowdown
    tolerance: Tolerance = None
    concurrency: Concurrency = _DEFAULT.concurrency

    def limits(self) -> ReplayLimits:
        """Raises UsageError for limits that no replay can keep."""
        if self.at_least is not None and self.at_least > self.limit:
            raise UsageError(
                f"--at-least {self.at_least} is above --limit {self.limit}: no replay could pass",
                hint=f"use --limit {self.at_least} or more, or a lower --at-least",
            )
        at_least = min(_DEFAULT.at_least, self.limit) if self.at_least is None else self.at_least
        return ReplayLimits(**{**vars(self), "at_least": at_least})


def replay(
    cockpit: Cockpit,
    limits: LimitOptions,
    options: FollowOptions,
    environment: EnvironmentName = None,
    version: Version = CHALLENGER,
) -> int:
    """Send captured production requests to a candidate that gets no traffic, and compare it with the serving version:
    predictions, errors, latency.

    \b
    Example:
      podium replay -e production --version challenger
      podium replay -e production --version 4 --since 1h --max-differing 2% -o json
    """
    wanted = limits.limits()
    name = cockpit.environments.chosen(environment)
    refresh(cockpit, offline=False)
    number = cockpit.models.resolve(version, cockpit.environments.model_of(name)).version
    run = cockpit.environments.replay(name, number, wanted, why=options.why)
    attended = attend(cockpit, run, options, headline=run_headline(run), document=False)
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
    """Returns the report with the run as `run` and times in ISO 8601, as in every other JSON."""
    return {
        **{key: value for key, value in report.items() if key != "run_id"},
        "run": report["run_id"],
        "at": moment(report["at"]),
    }


def _figures(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    classes = report["changed_labels"] is not None
    latency = [
        f"{name} {milliseconds(value)} (v{report['champion']}: {milliseconds(report['champion_latency'][name])})"
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
            "answered differently then",
            f"{report['unsteady']} requests: the champion's predictions are not steady" if report["unsteady"] else "",
        ),
        ("latency", ", ".join(latency)),
    ]
