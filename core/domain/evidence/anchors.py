"""Anchors: heads of the audit's chain that are kept outside of the journal."""

from __future__ import annotations

from ..frozen import Frozen


class Anchor(Frozen):
    """The head of the chain, as it was once."""

    number: int
    """How many entries there were."""
    digest: str
    """The digest of the last one."""
    at: float
    """When it was kept, by this machine's clock, in seconds since the epoch."""
    who: str
    anew: str = ""
    """A person's reason to begin anew although the chain is not what was anchored before, as after a backup was brought
    back; empty else."""


class Anchored(Frozen):
    """What the anchors say of the audit."""

    where: str
    """The place, in words."""
    since: float | None = None
    """From when on the chain is held by them, in seconds since the epoch; None while there is none."""
    until: float | None = None
    """When the newest one was kept."""
    entries: int = 0
    """How many entries the newest one covers: later ones may still be rewritten unseen."""
    anchors: int = 0
    """How many there are."""
    began_anew: tuple[str, ...] = ()
    """Sentences: when somebody began anew, and why."""
    problems: tuple[str, ...] = ()
    """Sentences, where the chain is not the one that was anchored, or nobody could be asked."""
