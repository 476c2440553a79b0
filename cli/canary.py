"""pause, abort, and what resume and promote say to a canary that is under way."""

from __future__ import annotations

import time

from ..core.cockpit import Cockpit, clean
from ..core.domain.delivery import CanaryRequest, CanaryState, CanaryStatus
from ..core.domain.format import duration
from . import diagnostics, output, shapes
from .changes import EnvironmentName, Why, agree
from .output import Format, Output


def pause(
    cockpit: Cockpit, environment: EnvironmentName = None, why: Why = "", output_format: Output = Format.TABLE
) -> int:
    """Keep the canary under way at its present share of the traffic until a person resumes or aborts it.

    \b
    Example:
      podium pause -e production --why "waiting for the evening's traffic"
    """
    return tell(cockpit, CanaryRequest.PAUSE, environment, why, output_format)


def abort(
    cockpit: Cockpit, environment: EnvironmentName = None, why: Why = "", output_format: Output = Format.TABLE
) -> int:
    """Send the canary under way back: the version before gets all traffic again.

    \b
    Example:
      podium abort -e production --why "complaints from two customers"
    """
    return tell(cockpit, CanaryRequest.ABORT, environment, why, output_format)


def full(cockpit: Cockpit, environment: str | None, yes: bool, confirm: str, why: str, output_format: Format) -> int:
    """Give the canary's version all traffic now. A protected environment wants its name."""
    name = environment or cockpit.environments.default()
    wanted = name if cockpit.project.config.environment(name).protected else ""
    found = cockpit.environments.canary(name)
    if found is not None:
        agree(
            [words(found), f"give it all traffic of {clean(name)} now"],
            "promote",
            wanted,
            f"podium promote --full -e {name}",
            yes=yes,
            confirm=confirm,
        )
    return tell(cockpit, CanaryRequest.FULL, name, why, output_format)


def tell(cockpit: Cockpit, what: CanaryRequest, environment: str | None, why: str, output_format: Format) -> int:
    name = environment or cockpit.environments.default()
    cockpit.project.config.environment(name)
    found = cockpit.environments.request(name, what, why=why)
    if output_format is Format.JSON:
        output.document(shapes.canary(found))
    diagnostics.note(f"{words(found)}; asked to {_ASKED[what]}", style="green")
    return diagnostics.DONE


_ASKED = {
    CanaryRequest.PAUSE: "stay there",
    CanaryRequest.RESUME: "go on",
    CanaryRequest.FULL: "take all traffic",
    CanaryRequest.ABORT: "go back",
}


def words(status: CanaryStatus) -> str:
    """One line about a canary: `canary v4 at 25 % (stage 2 of 3), judged in 40s: error_rate …`."""
    place = f"canary v{status.version} at {status.share} % (stage {status.stage + 1} of {len(status.weights)})"
    if status.state is CanaryState.RUNNING:
        left = max(0.0, (status.until or time.time()) - time.time())
        return f"{place}, judged in {duration(left)}" + (f", {status.verdict.value} so far" if status.verdict else "")
    return f"{place}, {clean(status.message)}"
