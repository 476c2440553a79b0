"""The one registry of actions. Footer, help, palette, key bindings, read-only mode and user keymaps all come from it.

An action that cannot be done now is dimmed, not hidden, and says why when it is asked for: `refusal` is the only place
that decides. What a screen does for an action is its method `do_<id>`; an action that only asks for confirmation and
then calls the façade needs no method, but a `confirm`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from ..core.domain.frozen import Frozen
from . import availability as when
from . import confirmations
from .confirmations import Confirmation
from .context import Context
from .screens import BY_NAME, MAIN, title_of

if TYPE_CHECKING:
    from .own.commands import OwnCommand

__all__ = ["ACTIONS", "BY_ID", "Action", "Context", "Danger", "footer_actions"]


class Danger(IntEnum):
    """CHANGE actions are refused in read-only mode; TRAFFIC ones also open a plan that has to be confirmed."""

    NONE = 0
    CHANGE = 1
    TRAFFIC = 2


Refuse = Callable[[Context], str]


class Variant(Frozen):
    """What is different on one screen, where the same key does the same kind of thing to something else. Empty: as
    everywhere."""

    label: str = ""
    help: str = ""
    refuse: Refuse | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    id: str
    keys: tuple[str, ...]
    """Textual key names or single characters."""
    label: str
    help: str
    group: str
    """Under which heading the help lists it."""
    refuse: Refuse | None = None
    danger: Danger = Danger.NONE
    screens: tuple[str, ...] = ()
    """Where it can be done; empty: everywhere."""
    footer: int = 0
    """Its rank in the footer, 0 for not shown."""
    goes_to: str = ""
    """The screen that it goes to."""
    asks: bool = False
    """Whether a line is typed for it: a pattern, a name, a time."""
    confirm: Callable[[Context], Confirmation] | None = None
    """What is asked before it is done, and what is then done."""
    on: Mapping[str, Variant] = field(default_factory=dict[str, Variant])
    """Variants by screen."""
    own: OwnCommand | None = None
    """The command of a person's own that it runs."""

    def label_on(self, screen: str) -> str:
        variant = self.on.get(screen)
        return (variant.label if variant is not None else "") or self.label

    def help_on(self, screen: str) -> str:
        variant = self.on.get(screen)
        return (variant.help if variant is not None else "") or self.help

    def refusal(self, context: Context) -> str:
        """Returns why it cannot be done now, in words; empty when it can."""
        if self.danger and context.read_only:
            return "read-only: started with --read-only, or with --web without --allow-changes"
        if self.screens and context.screen not in self.screens:
            names = [title_of(name) for name in self.screens]
            return f"only on {' and '.join([', '.join(names[:-1]), names[-1]] if len(names) > 1 else names)}"
        variant = self.on.get(context.screen)
        refuse = (variant.refuse if variant is not None else None) or self.refuse
        return refuse(context) if refuse is not None else ""


_RUNS = ("overview", "runs")
_SERVING = ("overview", "environments", "models")
_SAVES = Variant(label="save log", help="Write the log, or what is selected of it, to a file")


def _in_log(id: str, key: str, label: str, help: str, **more: Any) -> Action:
    """Returns an action that is about the lines of a log."""
    return Action(id=id, keys=(key,), label=label, help=help, group="Log", refuse=when.in_log, **more)


# fmt: off
ACTIONS: tuple[Action, ...] = (
    Action(
        id="open", keys=("enter",), label="open", help="Open what is under the cursor", group="Here",
        refuse=when.openable, footer=1,
        on={
            "compare": Variant(help="Open the row whole, long values line by line"),
            "repository": Variant(help="Show the commits of a branch or tag; show what a commit changed"),
        },
    ),
    Action(
        id="mark", keys=("space",), label="mark", help="Mark the version under the cursor, for comparing",
        group="Here", refuse=when.version, footer=2,
        screens=("models", "repository", "runs", "monitors", "curves", "live"),
        on={
            "runs": Variant(help="Mark the run under the cursor, to cancel several at once", refuse=when.run),
            "monitors": Variant(
                help="Mark the alert under the cursor, to acknowledge or silence several at once",
                refuse=when.listed_alert,
            ),
            "curves": Variant(label="pause", help="Hold the curves still, and go on", refuse=when.anything),
            "live": Variant(label="pause", help="Hold the charts still, and go on", refuse=when.anything),
            "repository": Variant(help="Mark the commit under the cursor: two have a diff", refuse=when.commit),
        },
    ),
    Action(
        id="compare", keys=("c",), label="compare", help="Compare the marked versions side by side", group="Here",
        refuse=when.comparable, screens=("models", "runs"), footer=3,
        on={
            "runs": Variant(
                help="Compare the marked runs side by side, with the versions that they made",
                refuse=when.comparable_runs,
            ),
        },
    ),
    Action(
        id="plot", keys=("p",), label="curves",
        help="Draw what training has logged: of the marked versions, or of this one", group="Here",
        refuse=when.version, screens=("models", "compare", "runs", "environments", "matrix"), footer=4,
        on={
            "matrix": Variant(help="Draw what the run's training has logged", refuse=when.anything),
            "compare": Variant(help="Draw what training has logged of these versions", refuse=when.anything),
            "runs": Variant(help="Draw what the run's training has logged, while it goes on too", refuse=when.run),
            "environments": Variant(
                label="charts", help="Draw the live signals over time, from a minute to a month",
                refuse=when.environment,
            ),
        },
    ),
    Action(
        id="files", keys=("i",), label="files", help="List the files that training has logged, and read them",
        group="Here", refuse=when.version, screens=("models", "curves"), footer=8,
        on={"curves": Variant(refuse=when.anything)},
    ),
    Action(
        id="narrower", keys=("less_than_sign",), label="shorter time",
        help="Show a shorter stretch, around the cursor", group="Here", screens=("curves", "live"), footer=2,
    ),
    Action(
        id="wider", keys=("greater_than_sign",), label="longer time", help="Show a longer stretch", group="Here",
        screens=("curves", "live"), footer=3,
    ),
    Action(
        id="log_axis", keys=("x",), label="log axis", help="Change between a linear and a logarithmic axis",
        group="Here", screens=("curves",), footer=4,
    ),
    Action(
        id="smooth", keys=("b",), label="smooth", help="Smooth the curves: not, a little, more, much", group="Here",
        screens=("curves",), footer=5,
    ),
    Action(
        id="differences", keys=("u",), label="only differences", help="Show only what differs, or everything again",
        group="Here", screens=("compare",), footer=2,
    ),
    Action(
        id="noise", keys=("z",), label="all tags", help="Show the tags that MLflow and Podium write for themselves",
        group="Here", screens=("compare",),
    ),
    Action(
        id="export", keys=("e",), label="export", help="Write what is shown to a file: Markdown, CSV, HTML or JSON",
        group="Here", screens=("compare", "runs", "containers", "ci"), refuse=when.in_log, footer=11, asks=True,
        on={"compare": Variant(refuse=when.anything), "runs": _SAVES, "containers": _SAVES, "ci": _SAVES},
    ),
    Action(
        id="diff", keys=("d",), label="diff",
        help="Show what differs between the commits behind the two marked versions", group="Here",
        refuse=when.two_versions, screens=("models", "compare", "repository", "runs"), footer=4,
        on={
            "runs": Variant(
                help="Show what differs between the two marked runs, step by step, and why", refuse=when.two_runs
            ),
            "compare": Variant(
                help="Show what differs between the commits behind the baseline and the version of the column",
                refuse=when.anything,
            ),
            "repository": Variant(
                help="Show what the commit changed; with two marked ones what differs between them",
                refuse=when.commit,
            ),
        },
    ),
    Action(
        id="logs", keys=("l",), label="logs", help="Show the log of what is under the cursor", group="Here",
        refuse=when.run, screens=("runs", "overview", "containers", "ci"), footer=4,
        on={
            "ci": Variant(help="Show the log of the job under the cursor", refuse=when.ci_run),
            "containers": Variant(refuse=when.container),
        },
    ),
    Action(
        id="why", keys=("W",), label="why",
        help="Say why it is so: why a step ran or was cached, what a version rests on, why an environment serves it",
        group="Here", refuse=when.explained, screens=("runs", "models", "environments"), footer=11,
    ),
    Action(
        id="merge", keys=("m",), label="merge", help="Show one replica's log, or all merged in time order",
        group="Here", refuse=when.container, screens=("containers", "runs"), footer=5,
        on={
            "runs": Variant(
                label="matrix", help="Show the cells of the matrix as a table, with what training has logged of each",
                refuse=when.matrix,
            ),
        },
    ),
    Action(
        id="shell", keys=("S",), label="shell",
        help="Open a shell in the container of the step under the cursor; exit it to return here",
        group="Changes", refuse=when.step_shell, danger=Danger.CHANGE, screens=("runs", "containers"), footer=9,
        on={
            "containers": Variant(
                help="Open a shell in the container under the cursor; exit it to return here",
                refuse=when.container_shell,
            ),
        },
    ),
    Action(
        id="approve", keys=("A",), label="approve", help="Let a waiting step continue", group="Changes",
        refuse=when.approve, danger=Danger.CHANGE, screens=(*_RUNS, "ci", "monitors", "infra"), footer=5,
        on={
            "ci": Variant(help="Approve the environment that the CI run waits for", refuse=when.ci_approve),
            "infra": Variant(
                help="Approve the plan that waits, for a pipeline or somebody else to apply", refuse=when.infra_approve
            ),
            "monitors": Variant(
                label="acknowledge", help="Say that you know of the alert that fires; let a proposed pipeline run",
                refuse=when.acknowledge,
            ),
        },
    ),
    Action(
        id="cancel", keys=("X",), label="cancel", help="Cancel the run", group="Changes", refuse=when.cancel,
        danger=Danger.CHANGE, screens=(*_RUNS, "environments", "ci"), footer=6, confirm=confirmations.cancel,
        on={
            "ci": Variant(help="Cancel the CI run", refuse=when.ci_cancel),
            "environments": Variant(
                label="abort", help="Abort the canary: all traffic goes back to the previous version",
                refuse=when.canary,
            ),
        },
    ),
    Action(
        id="again", keys=("R",), label="run again", help="Run the pipeline again with the same parameters",
        group="Changes", refuse=when.again, danger=Danger.CHANGE,
        screens=(*_RUNS, "containers", "repository", "ci", "monitors", "infra"), footer=7, confirm=confirmations.again,
        on={
            "infra": Variant(label="plan", help="Make a plan; nothing is changed", refuse=when.infra),
            "monitors": Variant(label="measure now", help="Evaluate the monitor now", refuse=when.monitor),
            "ci": Variant(
                label="re-run failed", help="Have the host run again what failed in the CI run", refuse=when.ci_rerun
            ),
            "repository": Variant(
                label="run this commit", help="Run a pipeline on the commit under the cursor, in a worktree of its own",
                refuse=when.runnable_commit,
            ),
            "containers": Variant(
                label="restart",
                help="Restart the container under the cursor; its traffic goes to the others meanwhile",
                refuse=when.restart,
            ),
        },
    ),
    Action(
        id="launch", keys=("E",), label="start a run",
        help="Start a pipeline with parameters: those of the run under the cursor, to be changed", group="Changes",
        refuse=when.project, danger=Danger.CHANGE, screens=_RUNS, footer=15, asks=True,
    ),
    Action(
        id="resume", keys=("U",), label="resume", help="Continue the run after its last finished step",
        group="Changes", refuse=when.resume, danger=Danger.CHANGE, screens=(*_RUNS, "environments"), footer=8,
        on={
            "environments": Variant(help="Resume a paused or inconclusive canary", refuse=when.resume_canary),
        },
    ),
    Action(
        id="pause", keys=("H",), label="pause", help="Keep the canary at its share of the traffic", group="Changes",
        refuse=when.pause, danger=Danger.TRAFFIC, screens=("environments",), footer=2,
    ),
    Action(
        id="full", keys=("F",), label="all traffic", help="Give the canary all traffic now, unanalysed",
        group="Changes", refuse=when.canary, danger=Danger.TRAFFIC, screens=("environments",), footer=3,
    ),
    Action(
        id="promote", keys=("P",), label="promote",
        help="Plan a promotion; nothing changes until you confirm the plan", group="Changes", refuse=when.promote,
        danger=Danger.TRAFFIC, screens=(*_SERVING, "infra"), footer=5,
        on={
            "models": Variant(refuse=when.promote_version),
            "infra": Variant(
                label="apply", help="Apply the plan that waits; nothing changes until you confirm it",
                refuse=when.infra_plan,
            ),
        },
    ),
    Action(
        id="look", keys=("L",), label="look for drift", help="Look at what differs from what was applied",
        group="Changes", refuse=when.infra, danger=Danger.CHANGE, screens=("infra",), footer=8,
    ),
    Action(
        id="deploy", keys=("D",), label="deploy",
        help="Plan a deploy of the challenger, else of the champion, here; nothing changes until you confirm the plan",
        group="Changes", refuse=when.promote, danger=Danger.TRAFFIC, screens=("environments", "models"),
        on={
            "models": Variant(
                help="Plan a deploy of the version under the cursor; nothing changes until you confirm the plan",
                refuse=when.promote_version,
            ),
        },
    ),
    Action(
        id="rollback", keys=("B",), label="roll back", help="Plan a rollback to the last good version",
        group="Changes", refuse=when.rollback, danger=Danger.TRAFFIC, screens=("overview", "environments"), footer=6,
    ),
    Action(
        id="repair", keys=("M",), label="repair",
        help="Plan a repair to match the ledger; nothing changes until you confirm the plan", group="Changes",
        refuse=when.repair, danger=Danger.TRAFFIC, screens=("overview", "environments", "containers"), footer=7,
    ),
    Action(
        id="stop", keys=(), label="stop", help="Plan a stop of the environment: nothing answers until it is started",
        group="Changes", refuse=when.stop, danger=Danger.TRAFFIC, screens=("overview", "environments"),
    ),
    Action(
        id="start", keys=(), label="start", help="Plan the start of a stopped environment, with what it served",
        group="Changes", refuse=when.start, danger=Danger.TRAFFIC, screens=("overview", "environments", "ci"),
        on={
            "ci": Variant(
                label="start a workflow", help="Have the host start a workflow, with inputs", refuse=when.ci_start
            ),
        },
    ),
    Action(
        id="silence", keys=("Z",), label="silence", help="Have nobody told of the alert for a while",
        group="Changes", refuse=when.silence, danger=Danger.CHANGE, screens=("monitors",), footer=6, asks=True,
    ),
    Action(
        id="search", keys=("slash",), label="search", help="Search; the lines around a match stay visible",
        group="Find", refuse=when.searchable, footer=9, asks=True,
    ),
    Action(
        id="next", keys=("n",), label="next match", help="Go to the next match", group="Find", refuse=when.searchable,
    ),
    Action(
        id="previous", keys=("N",), label="previous match", help="Go to the previous match", group="Find",
        refuse=when.searchable,
    ),
    Action(
        id="filter", keys=("f",), label="filter", help="Show only what matches; empty shows all", group="Find",
        refuse=when.filterable, footer=10, asks=True,
    ),
    Action(
        id="sort", keys=("s",), label="sort", help="Sort by the next column; again reverses the order", group="Find",
        refuse=when.in_list,
    ),
    Action(
        id="columns", keys=("full_stop",), label="columns",
        help="Choose which columns the list has, their order, and which stay in place; kept for you", group="Find",
        refuse=when.in_table,
    ),
    Action(
        id="wide", keys=("ctrl+w",), label="wide",
        help="Make every column as wide as it needs; left and right move them. Kept for you", group="Find",
        refuse=when.in_table,
    ),
    Action(id="wrap", keys=("w",), label="wrap", help="Wrap long lines", group="Log", refuse=when.wrappable),
    Action(
        id="timestamps", keys=("t",), label="times", help="Show when each line of a log was written", group="Log",
        refuse=when.in_log,
        on={
            "curves": Variant(
                label="steps or time", help="Draw over the steps of training, or over time", refuse=when.anything
            ),
        },
    ),
    _in_log(
        "select", "v", "select lines",
        "Put a cursor onto a line; again: select lines. y copies, e saves, enter opens the line",
    ),
    _in_log(
        "regex", "tilde", "regular expression",
        "Take what is searched and filtered for as a regular expression, or as it stands",
    ),
    _in_log("levels", "exclamation_mark", "levels", "Show only warnings and errors, only errors, or all lines"),
    _in_log("stream", "vertical_line", "standard error", "Show only what was written to standard error, or all"),
    _in_log("more_context", "equals_sign", "more around", "Show more lines around each hit of a filter"),
    _in_log("less_context", "minus", "fewer around", "Show fewer lines around each hit of a filter"),
    _in_log(
        "since", "at", "go to a time", "Go to the first line of a time: 5m (ago), 14:05, 2026-11-23 14:05", asks=True
    ),
    Action(
        id="copy", keys=("y",), label="copy",
        help="Copy to the clipboard of your own terminal, over SSH and in tmux too", group="Find",
        refuse=when.copyable,
    ),
    Action(
        id="browser", keys=("o",), label="browser", help="Open in the browser, or show the address", group="Here",
    ),
    Action(
        id="refresh", keys=("r",), label="refresh", help="Read everything again, the registry too", group="Screens",
        footer=13,
    ),
    Action(
        id="agent", keys=("a",), label="agent, schedules, audit",
        help="Show what the agent cannot do, when schedules come next, and who did what", group="Screens",
        refuse=when.off_the_agent,
    ),
    Action(
        id="board", keys=("O",), label="board",
        help="Show for all environments and infrastructure: is it as declared, does it run, is the model well?",
        group="Screens", refuse=when.off_the_board,
    ),
    Action(
        id="projects", keys=("comma",), label="projects",
        help="Show all your projects: what serves, what runs, what waits; enter goes to one", group="Screens",
        refuse=when.off_the_projects,
    ),
    Action(
        id="zoom", keys=("plus",), label="zoom", help="Give the focused pane the whole screen, and back",
        group="Screens", footer=12,
    ),
    Action(id="pane_next", keys=("tab",), label="pane", help="Next pane", group="Screens", footer=11),
    Action(id="pane_previous", keys=("shift+tab",), label="pane back", help="Previous pane", group="Screens"),
    *(
        Action(
            id=f"goto_{screen.name}", keys=(screen.key,), label=screen.title, help=f"Go to {screen.title}",
            group="Screens", goes_to=screen.name,
        )
        for screen in MAIN
    ),
    Action(
        id="history_back", keys=("left_square_bracket",), label="back on the way", group="Screens",
        help="Go back to where you were before, with the cursor as it was",
    ),
    Action(
        id="history_forward", keys=("right_square_bracket",), label="forward on the way", group="Screens",
        help="Go forward again to where you came back from",
    ),
    Action(id="down", keys=("j", "down"), label="down", help="Down", group="Move"),
    Action(id="up", keys=("k", "up"), label="up", help="Up", group="Move"),
    Action(id="top", keys=("g", "home"), label="top", help="To the first row or line", group="Move"),
    Action(
        id="bottom", keys=("G", "end"), label="bottom", help="To the last row; in a log: follow it", group="Move",
    ),
    Action(
        id="half_down", keys=("ctrl+d", "pagedown"), label="half page down", help="Half a page down", group="Move",
    ),
    Action(id="half_up", keys=("ctrl+u", "pageup"), label="half page up", help="Half a page up", group="Move"),
    Action(id="left", keys=("left",), label="left", help="Scroll to the left", group="Move"),
    Action(id="right", keys=("right",), label="right", help="Scroll to the right", group="Move"),
    Action(id="help", keys=("question_mark", "f1"), label="help", help="This help", group="Podium", footer=15),
    Action(
        id="palette", keys=("colon", "ctrl+p"), label="palette", help="Find any action by its name", group="Podium",
        footer=14, asks=True,
    ),
    Action(
        id="theme", keys=(), label="theme", help="Change to the next theme: dark, light, high contrast, your own",
        group="Podium",
    ),
    Action(
        id="suspend", keys=("ctrl+z",), label="suspend",
        help="Put the cockpit into the background; fg brings it back", group="Podium",
    ),
    Action(
        id="escape", keys=("escape",), label="clear, back",
        help="Clear the search or filter, then leave zoom, then go back", group="Podium",
    ),
    Action(id="back", keys=("q",), label="back", help="Back; on Overview: quit", group="Podium", footer=16),
    Action(
        id="quit", keys=("ctrl+q",), label="quit", help="Quit from anywhere; runs go on without the cockpit",
        group="Podium",
    ),
)
# fmt: on

BY_ID: Mapping[str, Action] = {action.id: action for action in ACTIONS}


def footer_actions(screen: str) -> list[Action]:
    """Returns what the footer offers on a screen, most useful first. On top of another screen nothing is changed."""
    on_top = screen in BY_NAME and bool(BY_NAME[screen].above)
    chosen = [
        action
        for action in ACTIONS
        if action.footer
        and (not action.screens or screen in action.screens)
        and not (on_top and action.group == "Changes")
    ]
    return sorted(chosen, key=lambda action: action.footer)
