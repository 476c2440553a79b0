"""Starts any pipeline, with a form for its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...core.cockpit import Cockpit
from ...core.domain.runs import Run
from ...core.domain.text import format as fmt
from ...core.errors import NotFound
from ...tui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from ...tui.widgets.form_dialog import Filled
    from ..base import PodiumScreen


_MAX_LABEL = 40  # cells of names before what is typed


class LaunchKeys:
    """Asks for the pipeline where there are several, then for its parameters, and starts it."""

    PURPOSE = "start which pipeline"

    def __init__(self, screen: PodiumScreen) -> None:
        self._screen = screen
        self._like: Run | None = None

    def begin(self) -> None:
        """The run under the cursor gives the pipeline and its parameters."""
        project = self._screen.project
        names = project.pipelines if project is not None else ()
        run = self._screen.context().find(Run)
        self._like = run if run is not None and run.name in names and not run.is_operation else None
        if not names:
            self._screen.podium.say("podium.yaml has no pipeline", "warn")
        elif len(names) == 1:
            self._fill(names[0])
        else:
            known = ", ".join(names)
            label = f"start ({known if len(known) <= _MAX_LABEL else fmt.count(len(names), 'pipeline')})"
            first = self._like.name if self._like is not None else names[0]
            self._screen.query_one(Prompt).ask(self.PURPOSE, first, label)

    def answered(self, text: str | None) -> None:
        """Does what was typed into the prompt."""
        name = (text or "").strip()
        if name:
            self._fill(name)

    def _fill(self, name: str) -> None:
        like = self._like if self._like is not None and self._like.name == name else None

        def ask(found: tuple[Mapping[str, str], Mapping[str, str]]) -> None:
            from ...tui.widgets.form_dialog import FormDialog

            lines = (f"With the parameters of run {like.id}, to be changed.",) if like is not None else ()
            self._screen.app.push_screen(FormDialog(name, *found, lines), decided)

        def decided(filled: Filled | None) -> None:
            if filled is not None:
                self._screen.carry_out(
                    f"run {name}",
                    lambda cockpit: cockpit.runs.start(name, params=dict(filled.params), why=filled.why),
                    self._screen.show_started,
                    awaited=False,
                )

        self._screen.carry_out(f"start {name}", lambda cockpit: _params(cockpit, name, like), ask)


def _params(cockpit: Cockpit, name: str, like: Run | None) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Returns a pipeline's parameters with the values of a run, or else their defaults; and the defaults."""
    pipelines = cockpit.project.reload().pipelines
    if name not in pipelines:
        raise NotFound(f"there is no pipeline {name!r}", hint=f"podium.yaml has {', '.join(pipelines)}")
    given = like.params if like is not None else {}
    defaults = {key: str(value) for key, value in pipelines[name].params.items()}
    return {key: str(given.get(key, value)) for key, value in defaults.items()}, defaults
