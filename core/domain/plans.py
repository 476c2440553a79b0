"""Plans: what a change will do, shown before it is applied. There is one kind of plan for every kind of change."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from .frozen import Frozen

if TYPE_CHECKING:
    from .models import Version
    from .repair import Difference


# A run's parameters have what its plan rests on under its names, behind this.
RESTS_ON_PREFIX = "seen."


class Change(Frozen):
    """One line of a plan: `subject` goes from `before` to `after`."""

    subject: str
    before: str
    after: str


class VersionChange(Frozen):
    """The version of a model that a target gets."""

    model: str
    version: int
    from_version: int | None
    """The version that serves now; None for none."""
    candidate: Version | None = None
    """What the registry says of `version`; None where it does not know it (any more)."""
    baseline: Version | None = None
    """What the candidate is compared with: the version that serves the target, the champion where none does."""

    @property
    def compared(self) -> tuple[Version, Version] | None:
        """Returns baseline and candidate if both are known and differ."""
        baseline, candidate = self.baseline, self.candidate
        if baseline is None or candidate is None or baseline.version == candidate.version:
            return None
        return baseline, candidate


class Plan(Frozen):
    """What a change will do to its target, shown before it is applied and then applied exactly as shown.

    Applying it checks the state again with the target locked, and refuses the plan if something has changed
    meanwhile.
    """

    target: str
    """The target of the change: an environment, or anything else that the verb's planner knows."""
    verb: str
    """The name of the change, by which core/plugins.py finds its planner: `promote`, `restart`, …"""
    title: str
    """The whole change in a few words: `Promote flights v3 to production`."""
    action: str
    """The label of the button that applies it: `Promote`."""
    command: str
    """The command that makes the same change."""
    changes: tuple[Change, ...] = ()
    differences: tuple[Difference, ...] = ()
    """Where the target is not as it should be, the worst first."""
    steps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: str = ""
    """Why it must not be applied; empty if it may."""
    overridable: bool = False
    """Whether a person's reason overrides the refusal."""
    hint: str = ""
    """What to do about the refusal, if a reason does not override it."""
    nothing_to_do: str = ""
    """Why there is nothing to do; empty if there is something."""
    type_to_confirm: str = ""
    """The word that a person has to type; empty if agreeing is enough."""
    guarded: bool = False
    """Whether the target is an environment whose name has to be typed where podium.yaml protects it. It may do so only
    after the plan was shown."""
    kept_in: str = "ledger"
    """Where the reason that a person gives is kept; empty if none is asked for."""
    expected_seconds: float | None = None
    versions: VersionChange | None = None
    """The version that the target gets; None for a change that is about something else."""
    step: str = ""
    """The built-in step that applies it; empty for the step named like the verb."""
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])
    """The arguments of that step besides the target."""
    rests_on: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the plan was made from. It is read again just before the change, and a difference refuses that."""

    def objection(self, *, confirmed: str = "", why: str = "", force: bool = False) -> tuple[str, str] | None:
        """Returns why the plan must not be applied with the given answers, and what to do about it; None if nothing
        is missing. `confirmed` is the word that the person typed."""
        if self.refusal and not (self.overridable and force and why):
            return self.refusal, self.override if self.overridable else self.hint
        if self.nothing_to_do and not self.refusal:
            return self.nothing_to_do, ""
        if self.type_to_confirm and confirmed != self.type_to_confirm:
            given = f"{confirmed!r} was given" if confirmed else "its name was not typed"
            return f"{self.type_to_confirm} is protected, and {given} to confirm", self.command_that_agrees
        return None

    def protected_by_now(self, name: str) -> tuple[str, str]:
        """Returns why a plan that asks for no name is refused where the environment `name` is protected by now, and
        what to do about it."""
        return f"{name} is protected by now: its name has to be typed", f"look at the plan again: {self.command}"

    @property
    def changes_environment(self) -> bool:
        """Tells whether it changes an environment, so that a person has to agree to it: a run that goes on may not."""
        return bool(self.changes or self.differences or self.type_to_confirm)

    @property
    def command_that_agrees(self) -> str:
        """Returns the command that applies the plan without asking."""
        confirm = f" --confirm {shlex.quote(self.type_to_confirm)}" if self.type_to_confirm else ""
        return f"{self.command} --yes{confirm}"

    @property
    def command_that_forces(self) -> str:
        """Returns the command that overrides the refusal; a person fills in the reason."""
        return f'{self.command.partition(" --force")[0]} --force --why "…"'

    @property
    def override(self) -> str:
        """Returns what a person can do about a refusal that a reason overrides."""
        return f"{self.command_that_forces} does it anyway; the reason is kept in the ledger"
