"""The table of screens: names, titles, keys, and where each one is. Tabs, keys, help and `--screen` come from it.

A screen is imported when it is first shown, by what its row says, so that the first paint pays for one alone and
nothing here knows the screens themselves.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from ..core.domain.frozen import Frozen


class Screen(Frozen):
    """`place` is `module:Class` in this package. A screen without a key is opened from another one, `above`, and lies
    on top of it until it is left."""

    name: str
    title: str
    key: str
    place: str
    above: str = ""

    def make(self, *given: Any) -> Any:
        """Imports the screen and returns a new one, of what it is about where it is opened from another one."""
        module, _, name = self.place.partition(":")
        return getattr(importlib.import_module(f"..{module}", __package__), name)(*given)


# fmt: off
SCREENS: tuple[Screen, ...] = (
    Screen("overview",     "Overview",     "1", "screens.overview:OverviewScreen"),
    Screen("runs",         "Runs",         "2", "screens.runs:RunsScreen"),
    Screen("models",       "Models",       "3", "screens.models:ModelsScreen"),
    Screen("environments", "Environments", "4", "screens.environments:EnvironmentsScreen"),
    Screen("containers",   "Containers",   "5", "screens.containers:ContainersScreen"),
    Screen("repository",   "Repository",   "6", "screens.repository:RepositoryScreen"),
    Screen("ci",           "CI",           "7", "screens.ci:CiScreen"),
    Screen("monitors",     "Monitors",     "8", "screens.monitors:MonitorsScreen"),
    Screen("infra",        "Infrastructure", "9", "screens.machines.infra:InfraScreen"),
    Screen("cluster",      "Cluster",      "0", "screens.machines.cluster:ClusterScreen"),
    Screen("projects",     "Projects",     "",  "screens.projects:ProjectsScreen", above="overview"),
    Screen("board",        "Board",        "",  "screens.board:BoardScreen", above="overview"),
    Screen("matrix",       "Matrix",       "",  "screens.matrix:MatrixScreen", above="runs"),
    Screen("run_pair",     "Two runs",     "",  "screens.run_pair:RunPairScreen", above="runs"),
    Screen("agent",        "Agent",        "",  "screens.agent:AgentScreen", above="overview"),
    Screen("curves",       "Curves",       "",  "screens.curves:CurvesScreen", above="models"),
    Screen("files",        "Files",        "",  "screens.artifacts:ArtifactsScreen", above="models"),
    Screen("live",         "Live",         "",  "screens.live:LiveScreen", above="environments"),
    Screen("compare",      "Compare",      "",  "screens.compare:CompareScreen", above="models"),
)
# fmt: on

BY_NAME: Mapping[str, Screen] = {screen.name: screen for screen in SCREENS}
MAIN: tuple[Screen, ...] = tuple(screen for screen in SCREENS if screen.key)
FIRST = SCREENS[0]


def title_of(name: str) -> str:
    return BY_NAME[name].title if name in BY_NAME else name
