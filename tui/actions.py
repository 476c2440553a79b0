"""The one registry of actions. Footer, help, palette, key bindings, read-only mode and user keymaps all come from it.

An action that cannot be done now is dimmed, not hidden, and says why when it is asked for all the same: `refusal` is
the only place that decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from ..core.domain.containers import Container
from ..core.domain.delivery import CanaryRequest, EnvironmentStatus
from ..core.domain.models import Version
from ..core.domain.runs import Run, Step


class Danger(IntEnum):
    """CHANGE actions are refused in read-only mode; TRAFFIC ones also open a plan that has to be confirmed."""

    NONE = 0
    CHANGE = 1
    TRAFFIC = 2


@dataclass(frozen=True, slots=True)
class Context:
    """What an action's availability depends on: the screen, the focused pane and what stands under the cursor."""

    screen: str = ""
    pane: str = ""
    read_only: bool = False
    run: Run | None = None
    step: Step | None = None
    version: Version | None = None
    marked: int = 0
    environment: EnvironmentStatus | None = None
    container: Container | None = None
    rows: int = 0
    project: bool = True
    model: str = ""


Refuse = Callable[[Context], str]


@dataclass(frozen=True, slots=True)
class Action:
    """`keys` are Textual key names or single characters. `screens` empty: everywhere. `footer` is its rank in the
    footer, 0 for not shown. `called` gives (label, help) of screens where the same key does the same kind of thing
    to something else."""

    id: str
    keys: tuple[str, ...]
    label: str
    help: str
    group: str
    refuse: Refuse | None = None
    danger: Danger = Danger.NONE
    screens: tuple[str, ...] = ()
    footer: int = 0
    called: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    def label_on(self, screen: str) -> str:
        return self.called.get(screen, (self.label, ""))[0]

    def help_on(self, screen: str) -> str:
        return self.called.get(screen, ("", self.help))[1]

    def refusal(self, context: Context) -> str:
        """Why it cannot be done now, in words; empty when it can."""
        if self.danger and context.read_only:
            return "read-only: the cockpit was started with --read-only"
        if self.screens and context.screen not in self.screens:
            names = [SCREEN_TITLES.get(name, name) for name in self.screens]
            return f"only on {' and '.join([', '.join(names[:-1]), names[-1]] if len(names) > 1 else names)}"
        return self.refuse(context) if self.refuse is not None else ""


SCREEN_TITLES = {
    "overview": "Overview",
    "runs": "Runs",
    "models": "Models",
    "environments": "Environments",
    "containers": "Containers",
    "compare": "Compare",
}
_MAIN = ("overview", "runs", "models", "environments", "containers")
_RUNS = ("overview", "runs")
_SERVING = ("overview", "environments", "models")
_CANARY = ("environments",)


NO_ENVIRONMENT = "no environment is under the cursor"
NO_RUN = "no run is under the cursor"


def _table_only(context: Context) -> str:
    return "" if context.pane in ("table", "graph") else "only in a list"


def _log_only(context: Context) -> str:
    return "" if context.pane == "log" else "only in a log; press l to go there"


def _searchable(context: Context) -> str:
    return "" if context.pane in ("table", "graph", "log") else "there is nothing to search here"


def _openable(context: Context) -> str:
    return "" if context.rows or context.pane == "log" else "nothing is under the cursor"


def _has_log(context: Context) -> str:
    if context.screen == "containers":
        return "" if context.container is not None else "no container is under the cursor"
    return "" if context.run is not None else "no run is under the cursor"


def _canary(context: Context) -> str:
    return context.environment.why_no_canary() if context.environment is not None else NO_ENVIRONMENT


def _pause(context: Context) -> str:
    return _canary(context) or _request(context, CanaryRequest.PAUSE)


def _request(context: Context, request: CanaryRequest) -> str:
    canary = context.environment.canary if context.environment is not None else None
    return canary.why_not(request) if canary is not None else ""


def _go_on(context: Context) -> str:
    return _canary(context) or _request(context, CanaryRequest.RESUME)


def _repair(context: Context) -> str:
    if not context.project:
        return "podium.yaml cannot be used; see Overview"
    return context.environment.why_not_repair() if context.environment is not None else NO_ENVIRONMENT


def _restart(context: Context) -> str:
    if context.container is None:
        return "no container is under the cursor"
    refusal = context.container.why_not_restart()
    return refusal or (context.environment.why_not_change() if context.environment is not None else "")


def _shell(context: Context) -> str:
    if context.screen == "containers":
        return context.container.why_no_shell() if context.container is not None else "no container is under the cursor"
    if context.step is None:
        return "no step is under the cursor; enter goes to the steps of a run"
    return context.step.why_no_shell()


def _cancel(context: Context) -> str:
    if context.screen == "environments":
        return _canary(context)
    return context.run.why_not_cancel() if context.run is not None else NO_RUN


def _again(context: Context) -> str:
    if context.screen == "containers":
        return _restart(context)
    if context.run is None:
        return NO_RUN
    return context.run.why_not_again() or ("" if context.project else "podium.yaml cannot be used; see Overview")


def _resume(context: Context) -> str:
    if context.screen == "environments":
        return _go_on(context)
    return context.run.why_not_resume() if context.run is not None else NO_RUN


def _approve(context: Context) -> str:
    if context.step is not None and not context.step.why_not_approve():
        return ""
    return context.run.why_not_approve() if context.run is not None else NO_RUN


def _promote(context: Context) -> str:
    if not context.project:
        return "podium.yaml cannot be used; see Overview"
    if context.environment is not None and context.environment.canary is not None:
        return (
            f"a canary is under way in {context.environment.name}; on Environments F gives it all traffic, X puts"
            " everything back"
        )
    if context.screen == "models":
        if context.version is not None and context.model not in ("", context.version.model):
            return f"{context.version.model} is another model: the environments of podium.yaml serve {context.model}"
        return "" if context.version is not None else "no version is under the cursor"
    return "" if context.environment is not None else NO_ENVIRONMENT


def _rollback(context: Context) -> str:
    if not context.project:
        return "podium.yaml cannot be used; see Overview"
    if context.environment is None:
        return NO_ENVIRONMENT if context.screen != "models" else ""
    if context.environment.canary is not None:
        return f"a canary is under way in {context.environment.name}; on Environments X puts everything back"
    return context.environment.why_not_rollback()


def _compare(context: Context) -> str:
    return "" if context.marked >= 2 else f"mark two versions or more with space first ({context.marked} marked)"


def _version(context: Context) -> str:
    return "" if context.version is not None else "no version is under the cursor"


ACTIONS: tuple[Action, ...] = (
    Action("open", ("enter",), "open", "Open what is under the cursor", "Here", _openable, footer=1),
    Action(
        "mark",
        ("space",),
        "mark",
        "Mark the version under the cursor, for comparing",
        "Here",
        _version,
        screens=("models",),
        footer=2,
    ),
    Action(
        "compare",
        ("c",),
        "compare",
        "Compare the marked versions side by side",
        "Here",
        _compare,
        screens=("models",),
        footer=3,
    ),
    Action(
        "logs",
        ("l",),
        "logs",
        "Show the log of what is under the cursor",
        "Here",
        _has_log,
        screens=("runs", "overview", "containers"),
        footer=4,
    ),
    Action(
        "merge",
        ("m",),
        "merge",
        "One replica's log, or those of all in the order of time",
        "Here",
        _has_log,
        screens=("containers",),
        footer=5,
    ),
    Action(
        "shell",
        ("S",),
        "shell",
        "Open a shell in the container of the step under the cursor; leaving it comes back here",
        "Changes",
        _shell,
        Danger.CHANGE,
        ("runs", "containers"),
        9,
        {"containers": ("shell", "Open a shell in the container under the cursor; leaving it comes back here")},
    ),
    Action("approve", ("A",), "approve", "Let a waiting step go on", "Changes", _approve, Danger.CHANGE, _RUNS, 5),
    Action(
        "cancel",
        ("X",),
        "cancel",
        "Cancel the run",
        "Changes",
        _cancel,
        Danger.CHANGE,
        (*_RUNS, *_CANARY),
        6,
        {"environments": ("abort", "Abort the canary: all traffic goes back to the version before")},
    ),
    Action(
        "again",
        ("R",),
        "run again",
        "Run the pipeline again with the same parameters",
        "Changes",
        _again,
        Danger.CHANGE,
        (*_RUNS, "containers"),
        7,
        {"containers": ("restart", "Restart the container under the cursor; its traffic goes to the others meanwhile")},
    ),
    Action(
        "resume",
        ("U",),
        "resume",
        "Take the run up again after its last finished step",
        "Changes",
        _resume,
        Danger.CHANGE,
        (*_RUNS, *_CANARY),
        8,
        {"environments": ("go on", "Let a paused or undecided canary go on")},
    ),
    Action(
        "pause",
        ("H",),
        "hold",
        "Hold the canary at its share of the traffic",
        "Changes",
        _pause,
        Danger.TRAFFIC,
        _CANARY,
        2,
    ),
    Action(
        "full",
        ("F",),
        "all traffic",
        "Give the canary all traffic now, unjudged",
        "Changes",
        _canary,
        Danger.TRAFFIC,
        _CANARY,
        3,
    ),
    Action(
        "promote",
        ("P",),
        "promote",
        "Plan a promotion; nothing changes before the plan is confirmed",
        "Changes",
        _promote,
        Danger.TRAFFIC,
        _SERVING,
        5,
    ),
    Action(
        "rollback",
        ("B",),
        "roll back",
        "Plan to bring the last good version back",
        "Changes",
        _rollback,
        Danger.TRAFFIC,
        ("overview", "environments"),
        6,
    ),
    Action(
        "repair",
        ("M",),
        "mend",
        "Plan to make what runs what the ledger says; nothing changes before the plan is confirmed",
        "Changes",
        _repair,
        Danger.TRAFFIC,
        ("overview", "environments", "containers"),
        7,
    ),
    Action(
        "search", ("slash",), "search", "Search; the lines around a hit stay on screen", "Find", _searchable, footer=9
    ),
    Action("next", ("n",), "next hit", "Next hit of the search", "Find", _searchable),
    Action("previous", ("N",), "previous hit", "Previous hit of the search", "Find", _searchable),
    Action("filter", ("f",), "filter", "Show only what matches; empty shows all", "Find", _searchable, footer=10),
    Action("sort", ("s",), "sort", "Sort by the next column; once more turns it round", "Find", _table_only),
    Action("wrap", ("w",), "wrap", "Wrap long lines of a log", "Log", _log_only),
    Action("timestamps", ("t",), "times", "Show when each line of a log was written", "Log", _log_only),
    Action(
        "copy",
        ("y",),
        "copy",
        "Copy to the clipboard of your own terminal, over SSH and in tmux too",
        "Find",
        _searchable,
    ),
    Action("browser", ("o",), "browser", "Open in the browser, or show the address", "Here"),
    Action("refresh", ("r",), "refresh", "Read everything again, the registry too", "Screens", footer=13),
    Action("zoom", ("plus",), "zoom", "Give the focused pane the whole screen, and back", "Screens", footer=12),
    Action("pane_next", ("tab",), "pane", "Next pane", "Screens", footer=11),
    Action("pane_previous", ("shift+tab",), "pane back", "Previous pane", "Screens"),
    Action("goto_overview", ("1",), "Overview", "Go to Overview", "Screens"),
    Action("goto_runs", ("2",), "Runs", "Go to Runs", "Screens"),
    Action("goto_models", ("3",), "Models", "Go to Models", "Screens"),
    Action("goto_environments", ("4",), "Environments", "Go to Environments", "Screens"),
    Action("goto_containers", ("5",), "Containers", "Go to Containers", "Screens"),
    Action("down", ("j", "down"), "down", "Down", "Move"),
    Action("up", ("k", "up"), "up", "Up", "Move"),
    Action("top", ("g", "home"), "top", "To the first row or line", "Move"),
    Action("bottom", ("G", "end"), "bottom", "To the last row; in a log: follow it", "Move"),
    Action("half_down", ("ctrl+d", "pagedown"), "half page down", "Half a page down", "Move"),
    Action("half_up", ("ctrl+u", "pageup"), "half page up", "Half a page up", "Move"),
    Action("left", ("left",), "left", "Scroll to the left", "Move"),
    Action("right", ("right",), "right", "Scroll to the right", "Move"),
    Action("help", ("question_mark", "f1"), "help", "This help", "Podium", footer=15),
    Action("palette", ("colon", "ctrl+p"), "palette", "Find any action by its name", "Podium", footer=14),
    Action("theme", (), "theme", "Change between the dark and the light theme", "Podium"),
    Action("suspend", ("ctrl+z",), "suspend", "Put the cockpit into the background; fg brings it back", "Podium"),
    Action("escape", ("escape",), "clear, back", "Clear the search or filter, then leave zoom, then go back", "Podium"),
    Action("back", ("q",), "back", "Back; on Overview: quit", "Podium", footer=16),
    Action("quit", ("ctrl+q",), "quit", "Quit from anywhere; runs go on without the cockpit", "Podium"),
)

BY_ID: Mapping[str, Action] = {action.id: action for action in ACTIONS}

_SHOWN = {
    "slash": "/",
    "question_mark": "?",
    "plus": "+",
    "colon": ":",
    "escape": "esc",
    "space": "space",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "f1": "F1",
    "full_stop": ".",
    "comma": ",",
    "minus": "-",
    "down": "down",
    "up": "up",
}


def shown_key(key: str) -> str:
    """A key as people write it."""
    return _SHOWN.get(key, key)


class Keymap:
    """Which keys do what: the registry's own, or as a person has changed them (`tui/keymap.py` checks those)."""

    def __init__(self, overrides: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self._overrides = dict(overrides or {})

    def keys(self, action: Action) -> tuple[str, ...]:
        return self._overrides.get(action.id, action.keys)

    def shown(self, action: Action) -> str:
        keys = self.keys(action)
        return shown_key(keys[0]) if keys else ""

    def all_shown(self, action: Action) -> str:
        return " ".join(shown_key(key) for key in self.keys(action))

    def bindings(self) -> Iterable[tuple[str, str]]:
        """(key, action's id) of everything. Every action is bound on every screen, so that a key which does not
        apply can say why."""
        for action in ACTIONS:
            for key in self.keys(action):
                yield key, action.id


def footer_actions(screen: str) -> list[Action]:
    """What the footer offers on a screen, most useful first."""
    chosen = [
        a
        for a in ACTIONS
        if a.footer and (not a.screens or screen in a.screens) and (screen in _MAIN or a.group not in ("Changes",))
    ]
    return sorted(chosen, key=lambda action: action.footer)
