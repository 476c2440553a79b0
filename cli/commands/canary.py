"""pause and abort, and the requests of resume and promote to a running canary."""

from __future__ import annotations

import time

from ...core.cockpit import Cockpit
from ...core.domain.delivery import CanaryState, CanaryStatus
from ...core.domain.text import clean
from ...core.domain.text.format import duration
from ..interaction.confirm import agree
from ..options import ChangeOptions, EnvironmentName, Output, Why
from ..text import diagnostics, output, shapes
from ..text.output import Format


def pause(
    cockpit: Cockpit, environment: EnvironmentName = None, why: Why = "", output_format: Output = Format.TABLE
) -> int:
    """Keep the running canary at its present share of the traffic until a person resumes or aborts it.

    \b
    Example:
      podium pause -e production --why "waiting for the evening's traffic"
    """
    return request(cockpit, "pause", environment, _unasked(why, output_format))


def abort(
    cockpit: Cockpit, environment: EnvironmentName = None, why: Why = "", output_format: Output = Format.TABLE
) -> int:
    """Abort the running canary: the previous version gets all traffic back.

    \b
    Example:
      podium abort -e production --why "complaints from two customers"
    """
    return request(cockpit, "abort", environment, _unasked(why, output_format))


def resume(cockpit: Cockpit, environment: str, why: str, output_format: Format) -> int:
    """Lets a canary continue that is paused or inconclusive."""
    return request(cockpit, "resume", environment, _unasked(why, output_format))


def full(cockpit: Cockpit, environment: str | None, options: ChangeOptions) -> int:
    """Gives the canary's version all traffic now. For a protected environment its name has to be confirmed."""
    return request(cockpit, "full", environment, options)


def _unasked(why: str, output_format: Format) -> ChangeOptions:
    return ChangeOptions(yes=True, why=why, output_format=output_format)


def request(cockpit: Cockpit, verb: str, environment: str | None, options: ChangeOptions) -> int:
    """Sends the request `verb` to the running canary and says what state it found it in."""
    name = cockpit.environments.chosen(environment)
    plan = cockpit.changes.plan(verb, name)
    found = cockpit.environments.canary(name)
    typed = "" if plan.refusal else agree(plan, yes=options.yes, confirm=options.confirm)
    cockpit.changes.apply(plan, confirmed=typed, why=options.why)
    if found is not None:
        if options.output_format is Format.JSON:
            output.document(shapes.canary(found))
        diagnostics.note(f"{words(found)}; asked to {_ASKED[verb]}", style="green")
    return diagnostics.DONE


_ASKED = {"pause": "pause", "resume": "resume", "full": "take all traffic", "abort": "abort"}


def words(status: CanaryStatus) -> str:
    """Returns one line about a canary: `canary v4 at 25 % (stage 2 of 3), judged in 40s: error_rate …`."""
    place = f"canary v{status.version} at {status.share} % (stage {status.stage + 1} of {len(status.weights)})"
    if status.state is CanaryState.RUNNING:
        left = max(0.0, (status.until or time.time()) - time.time())
        return f"{place}, judged in {duration(left)}" + (f", {status.verdict.value} so far" if status.verdict else "")
    return f"{place}, {clean(status.message)}"
