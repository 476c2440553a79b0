"""What the shell offers after TAB: names of the project. Nothing here may raise: a completion that fails offers
nothing. Shells write a name into the command line as it is, and zsh evaluates it: one that a registry has, and that is
no plain word, is not offered."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..core.cockpit import Cockpit


_WORD = re.compile(r"[\w@%+=:,./-]+")


def _offered(names: Callable[[Cockpit], Iterable[str]], incomplete: str) -> list[str]:
    with suppress(Exception):
        from .session import opened

        cockpit = opened()
        try:
            return [name for name in names(cockpit) if name.startswith(incomplete) and _WORD.fullmatch(name)]
        finally:
            cockpit.close()
    return []


def complete_pipeline(incomplete: str) -> list[str]:
    return _offered(lambda cockpit: cockpit.project.config.pipelines, incomplete)


def complete_environment(incomplete: str) -> list[str]:
    return _offered(lambda cockpit: cockpit.project.config.environments, incomplete)


def complete_alert(incomplete: str) -> list[str]:
    return _offered(lambda cockpit: cockpit.project.config.alerts, incomplete)


def complete_monitor(incomplete: str) -> list[str]:
    return _offered(lambda cockpit: cockpit.project.config.monitors, incomplete)


def complete_infra(incomplete: str) -> list[str]:
    return _offered(lambda cockpit: cockpit.project.config.infra, incomplete)


def complete_run(incomplete: str) -> list[str]:
    return _offered(lambda cockpit: ["last", *(str(run.id) for run in cockpit.runs.list(limit=50))], incomplete)


def complete_version(incomplete: str) -> list[str]:
    def names(cockpit: Cockpit) -> list[str]:
        versions = cockpit.models.versions()
        project = cockpit.project.config
        others = [each for model in project.models[1:] for each in cockpit.models.versions(model)[:50]]
        return [
            *(alias for version in versions for alias in version.aliases),
            *(str(version.version) for version in versions[:50]),
            *(f"{version.model}:{version.version}" for version in others),
        ]

    return _offered(names, incomplete)
