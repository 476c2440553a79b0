"""Why? One key on what is under the cursor; the answers are the core's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.cockpit import Cockpit
from ...core.domain.delivery import EnvironmentStatus
from ...core.domain.models import Version
from ...core.domain.runs import Run, Step
from ...core.domain.why.answers import Answer

if TYPE_CHECKING:
    from ..base import PodiumScreen


def ask(screen: PodiumScreen) -> None:
    """Asks why the thing under the cursor is as it is, and shows the answer."""
    context = screen.context()
    step, run = context.find(Step), context.find(Run)
    version, status = context.find(Version), context.find(EnvironmentStatus)
    if step is not None and screen.pane is not None and screen.pane.id != "list":
        screen.carry_out(f"why {step.name}", lambda cockpit: cockpit.why.step(step.run_id, step.name), _shown(screen))
    elif run is not None:
        screen.carry_out(f"why run {run.id}", lambda cockpit: _of_run(cockpit, run), _shown(screen))
    elif version is not None:
        screen.carry_out(f"why v{version.version}", lambda cockpit: _of_version(cockpit, version), _shown(screen))
    elif status is not None:
        screen.carry_out(f"why {status.name}", lambda cockpit: _of_environment(cockpit, status), _shown(screen))


def _shown(screen: PodiumScreen):
    def show(answer: Answer) -> None:
        from ...tui.widgets.answer_dialog import AnswerDialog

        screen.app.push_screen(AnswerDialog(answer))

    return show


def _of_run(cockpit: Cockpit, run: Run) -> Answer:
    """Each of its steps in a line."""
    steps = [(step.name, cockpit.why.step(run.id, step.name).short) for step in cockpit.runs.steps(run.id)]
    width = max((len(name) for name, _ in steps), default=0)
    started = f"{run.trigger}, {run.who}" + (f": {run.why}" if run.why else "")
    return Answer(f"run {run.id}", run.message or str(run.state), (started, *(f"{n:<{width}}  {w}" for n, w in steps)))


def _of_version(cockpit: Cockpit, version: Version) -> Answer:
    lines = cockpit.evidence.why(version)
    where = next((each.words for each in lines if each.what == "traffic"), "from its commit to its traffic")
    return Answer(
        f"v{version.version} of {version.model}", where, tuple(f"{each.what}: {each.words}" for each in lines)
    )


def _of_environment(cockpit: Cockpit, status: EnvironmentStatus) -> Answer:
    if status.serving is None:
        return Answer(status.name, status.health.words or "nothing was deployed here")
    found = _of_version(cockpit, cockpit.models.version(status.serving))
    because = tuple(each.words for each in status.differences)
    return Answer(f"{status.name} serves v{status.serving}", status.health.words, (*because, *found.because))
