"""Differences between an environment and its ledger, and what a repair does about each."""

from __future__ import annotations

from enum import StrEnum

from .frozen import Frozen


class Severity(StrEnum):
    """PROBLEM: requests are lost, or could be, or the wrong version answers. WARNING: the environment serves
    correctly, but something else is wrong."""

    PROBLEM = "problem"
    WARNING = "warning"


class DifferenceKind(StrEnum):
    """The kind of a difference. Commands print the names, so names are only ever added."""

    INTERRUPTED = "interrupted"  # a change whose process is gone
    UNREACHABLE = "unreachable"  # the engine does not answer
    MISSING = "missing"  # fewer replicas than there should be
    GONE = "gone"  # the process or container of a replica no longer exists
    STOPPED = "stopped"  # its container exists but is not running
    PAUSED = "paused"
    UNHEALTHY = "unhealthy"
    IMAGE = "image"  # another image than the version's
    SETTINGS = "settings"  # started with other settings than podium.yaml's
    LABELS = "labels"  # its labels name another version, model or commit
    NETWORK = "network"  # not on the environment's network, or at another address than the proxy has
    RESTARTED = "restarted"  # the engine had to start it again
    STRAY = "stray"  # a container with Podium's labels that is not in the journal
    PROXY = "proxy"  # the proxy is not running, or does not answer
    CERTIFICATE = "certificate"  # clients see another certificate than podium.yaml names, or one that they refuse
    WEIGHT = "weight"  # the proxy does something else than the journal says
    TRAFFIC = "traffic"  # a version takes traffic that should not
    ALIAS = "alias"
    REGISTRY = "registry"  # what serves is not in the registry any more


class Difference(Frozen):
    """One difference. `subject` is a replica's id, a container's name, an alias, or the environment. `words`
    describe it completely; `repair` is what a repair does about it, empty if it can do nothing."""

    kind: DifferenceKind
    subject: str
    words: str
    severity: Severity = Severity.PROBLEM
    repair: str = ""

    @property
    def repairable(self) -> bool:
        return bool(self.repair)

    def __str__(self) -> str:
        return self.words
