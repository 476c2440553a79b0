"""Who may change an environment."""

from __future__ import annotations

from enum import StrEnum

from ..frozen import Frozen


class Role(StrEnum):
    """What somebody may do in an environment."""

    PROMOTE = "promote"  # deploy and promote, and give a canary more traffic
    ROLLBACK = "rollback"  # roll back, and pause and abort a canary
    APPROVE = "approve"  # let a step go on that changes it
    LIFT = "lift"  # lift the quarantine of a version of its model
    STOP = "stop"  # stop it, start it again, and restart a replica or the proxy


ROLE_OF = {
    "deploy": Role.PROMOTE,
    "promote": Role.PROMOTE,
    "full": Role.PROMOTE,
    "resume": Role.PROMOTE,
    "rollback": Role.ROLLBACK,
    "pause": Role.ROLLBACK,
    "abort": Role.ROLLBACK,
    "stop": Role.STOP,
    "start": Role.STOP,
    "restart": Role.STOP,
}
"""The role that a change asks for, by its verb; a change that is not here asks for none."""


class Allowed(Frozen):
    """Who has a role: these accounts of this machine, and the members of these Unix groups."""

    accounts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def within(self, other: Allowed) -> bool:
        """Tells whether everybody whom this names is named by the other, too."""
        return set(self.accounts) <= set(other.accounts) and set(self.groups) <= set(other.groups)

    @property
    def words(self) -> str:
        groups = (f"the group {name}" for name in self.groups)
        return ", ".join((*self.accounts, *groups)) or "nobody"


class Roles(Frozen):
    """Who may do what in an environment; everybody where a role says nothing."""

    promote: Allowed | None = None
    rollback: Allowed | None = None
    approve: Allowed | None = None
    lift: Allowed | None = None
    stop: Allowed | None = None

    def of(self, role: Role) -> Allowed | None:
        """Returns who has a role; None for everybody."""
        return getattr(self, role.value)
