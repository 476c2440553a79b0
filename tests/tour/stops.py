"""Where the tour goes: each screen with what is in it, and the keys that lead there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from podium.core.domain.watching import AgentStatus, ScheduleStatus, Trouble
from podium.core.journal import Journal, audit
from podium.tui.application import PodiumApp

from tests.screens.machines import test_infra
from tests.screens.machines.test_board import BOARD
from tests.screens.machines.test_cluster import CLUSTER, MACHINE
from tests.screens.running.test_matrix_and_pair import RUN, trained
from tests.screens.test_curves import Logged, kept
from tests.tui.seed import NOW, PROJECT, SeededCockpit, empty, seed
from tests.tui.seed_ci import seed_ci
from tests.tui.seed_containers import seed_containers
from tests.tui.seed_monitors import seed_monitors
from tests.tui.seed_repository import seed_repository

Made = tuple[SeededCockpit, Sequence[Path]]


@dataclass(frozen=True, slots=True)
class Stop:
    """One picture, at each size."""

    name: str
    """Of its file."""
    screen: str
    """The screen that is shown, by its name in `tui/screens.py`."""
    shows: str
    """What is on it, in words that a person looks for."""
    text: str
    """What the page says of it."""
    keys: tuple[str, ...] = ()
    """From the screen that it is opened from."""
    first: str = ""
    """The screen that it is opened from; empty: itself."""
    make: Callable[[Path], Made] | None = None
    """Makes the project; None for the one that most have."""
    select: int = 0
    """The run under the cursor, where it matters."""

    def project(self, home: Path) -> Made:
        """Returns the project that it is shown on, and the others that there are."""
        return self.make(home) if self.make is not None else (seed(home), ())


def _cluster(home: Path) -> Made:
    cockpit = seed(home)
    cockpit.runs.machine = lambda: MACHINE  # type: ignore[method-assign]
    cockpit.runs.cluster = lambda: CLUSTER  # type: ignore[method-assign, assignment, attr-defined]
    return cockpit, ()


def _board(home: Path) -> Made:
    cockpit = seed(home)
    cockpit.board.list = lambda: BOARD  # type: ignore[method-assign]
    return cockpit, ()


def _agent(home: Path) -> Made:
    cockpit = seed(home)
    trouble = Trouble("disk", "the disk is full", NOW - 60)
    cockpit.agent_status = AgentStatus(True, 4242, "build-1", "anna", NOW - 86_400, NOW, troubles=(trouble,))
    with patch.object(audit, "time", SimpleNamespace(time=lambda: NOW - 3600)):
        cockpit.journal.audit.add("anna from 10.0.0.7", "promote", "production version 3", "autumn schedule")
    nightly = ScheduleStatus("nightly", "0 3 * * *", NOW + 7200, run=cockpit.journal.runs.get(11))
    weekly = ScheduleStatus("weekly", "0 4 * * 1", NOW + 86_400 * 3, held=("run 7 is still running",))
    cockpit.agent.schedules = lambda: [nightly, weekly]  # type: ignore[method-assign]
    return cockpit, ()


def _files(home: Path) -> Made:
    cockpit = seed(home)
    run = next(each for each in cockpit.runs.list() if str(each.state) == "running")
    step = next(each for each in cockpit.journal.steps.of(run.id) if each.name.startswith("train"))
    notes = Logged(cockpit.home, run.id, step.key).artifacts / "notes"
    notes.mkdir(parents=True)
    (notes / "report.txt").write_text(
        "rows 327346\nlate 0.24\n\ncarrier  rows   late\nUA      57782  0.21\nB6      54049  0.25\n"
    )
    (notes.parent / "model.onnx").write_bytes(b"\0\1\2" * 999)
    return cockpit, ()


def _infra(home: Path) -> Made:
    cockpit = seed(home)
    with patch.object(test_infra, "time", SimpleNamespace(time=lambda: NOW)):  # a picture is the same every day
        test_infra.seed_infra(cockpit)
    return cockpit, ()


def _projects(home: Path) -> Made:
    other = home.parent / "prices"
    empty(other, config=PROJECT.replace("project: flight-delay", "project: prices"))
    with Journal.open(other / ".podium" / "journal.db") as journal:
        journal.runs.create(kind="pipeline", name="release", trigger="person", who="ben", why="", commit="", branch="")  # type: ignore[arg-type]
    return seed(home), (other,)


def _with(fill: Callable[[SeededCockpit], object]) -> Callable[[Path], Made]:
    def make(home: Path) -> Made:
        cockpit = seed(home)
        fill(cockpit)
        return cockpit, ()

    return make


def _trained(home: Path) -> Made:
    cockpit = seed(home)
    trained(cockpit.home)
    return cockpit, ()


# fmt: off
STOPS: tuple[Stop, ...] = (
    Stop("overview", "overview", "production", "What needs a person, what serves, what ran."),
    Stop("runs", "runs", "Steps of run", "The runs, the graph of one, and the log of the step under the cursor."),
    Stop("models", "models", "v4", "The versions, and the lineage, gate report and metrics of the one under the cursor."),
    Stop("environments", "environments", "production", "What serves since when, from which commit, and how well; the ledger."),
    Stop("containers", "containers", "240 lines", "What the engines run, how much it uses, and the log of a replica.",
         make=lambda home: (seed_containers(home), ())),
    Stop("repository", "repository", "Deeper trees", "The commits, with their run, version, and where it serves.", make=_with(seed_repository)),
    Stop("ci", "ci", "for me", "The runs of the Git host, with what became of them here.", make=_with(seed_ci)),
    Stop("monitors", "monitors", "input-drift", "What is measured of what serves, and the alerts.", ("enter",), make=_with(seed_monitors)),
    Stop("infra", "infra", "serving", "The plan that waits, the worst first, and who has to agree.", ("j",), make=_infra),
    Stop("cluster", "cluster", "10.0.0.6", "What steps of all projects have of this machine and of a Ray cluster, and what waits.", make=_cluster),
    Stop("board", "board", "not as they should be", "Whether each thing is as declared, well, and not used beyond what it has (`O`).", ("O",), "overview", _board),
    Stop("projects", "projects", "prices", "Several projects in one look (`,`).", (",",), "overview", _projects),
    Stop("agent", "agent", "nightly", "The agent's troubles, the schedules with their next time, the audit (`a`).", ("a",), "overview", _agent),
    Stop("matrix", "matrix", "Cells of train", "The cells of a matrix with what training logged (`m` on Runs).", ("m",), "runs", _trained, RUN),
    Stop("run-pair", "run_pair", "Run 13 and run 14", "Two runs side by side (`d` on Runs).", ("space", "space", "d"), "runs"),
    Stop("compare", "compare", "Compare v3", "Versions beside the champion (`c` on Models).", ("space", "space", "space", "c", "j"), "models"),
    Stop("curves", "curves", "b v3", "What training has logged, of several versions over each other (`p` on Models).",
         ("p", "x", "enter", "left"), "models", _with(kept)),
    Stop("files", "files", "report.txt", "The files that training has logged (`i`).", ("p", "i", "j"), "runs", _files),
    Stop("live", "live", "requests 1", "Traffic, errors, latency and load of an environment (`p` on Environments).", ("p",), "environments"),
    Stop("palette", "overview", "production", "The palette (`:`): anything by its name.", tuple(":prod"), "overview"),
    Stop("plan", "environments", "type production to confirm", "The plan of a promotion, before anything is done (`P`).", ("P",), "environments"),
    Stop("help", "runs", "follow", "Help (`?`): what can be done here, and why the rest cannot.", ("?",), "runs"),
)
# fmt: on


def opened(stop: Stop, home: Path, app: Callable[..., PodiumApp]) -> PodiumApp:
    """Returns the app of a stop, not running yet."""
    cockpit, others = stop.project(home)
    return app(cockpit, screen=stop.first or stop.screen, projects=others, interval=0)
