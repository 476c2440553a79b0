"""The one table of what grows: every kind of data below `.podium/` and in the journal, where it lives, how long it is
kept, and how it is removed.

Whatever a new capability keeps gets a row here, with its key in `retain:` (core/config/keys/retain.py and
core/domain/project/) or a word on why nothing has to be removed; a test fails for a directory or a table that is
in no row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from fnmatch import fnmatch
from functools import partial

from ..domain.frozen import Frozen
from ..domain.project import Retain
from ..domain.text.format import duration, size
from . import cache, journal_rows, labels, monitors, runs, serving
from .scene import Item, Scene

Find = Callable[[Scene], Iterator[Item]]


class BackedUp(StrEnum):
    """Whether `podium backup` takes a kind."""

    NO = "no"
    YES = "yes"
    SOME = "some"
    """Those whose names end with one of `backed_up_files`."""
    STORE = "store"
    """All but the database, which is copied as a database."""
    CAPTURES = "captures"
    """Only when it was asked for."""
    CAPTURED = "captured databases"
    """Only when it was asked for; databases are copied as such."""


class Kind(Frozen):
    """One kind of data."""

    name: str
    about: str
    """What it is, for a person."""
    places: tuple[str, ...] = ()
    """Its paths below `.podium/`, as patterns; one that ends with `/` is a directory with all that is in it. The first
    row that has a path counts. Its size is what these take on the disk."""
    tables: tuple[str, ...] = ()
    """Its tables of the journal."""
    keys: tuple[str, ...] = ()
    """Its keys in `retain:`; empty where nothing is removed."""
    find: tuple[Find, ...] = ()
    """What yields what may go, each thing with what removes it."""
    kept: str = ""
    """Why nothing is removed, where there is no key."""
    backed_up: BackedUp = BackedUp.NO
    backed_up_files: tuple[str, ...] = ()

    def words(self, retain: Retain) -> str:
        """Returns for how long it is kept."""
        if not self.keys:
            return self.kept
        values = [(key, getattr(retain, key)) for key in self.keys]
        return ", ".join(_words(key, value) for key, value in values)


def _words(key: str, value: float) -> str:
    if key.endswith("_rows"):
        return f"{value:,.0f}"
    return size(int(value)) if key.endswith("_size") else duration(value)


# What needs another kind to be gone comes after it: rows of runs after their files. What frees room on the disk comes
# before what needs some.
KINDS: tuple[Kind, ...] = (
    Kind("temporary", "what crashes left, crash reports",
         (*serving.LEFT_BEHIND, "locks/"),
         keys=("temporary",),
         find=(serving.temporary, partial(runs.half_removed, directory=runs.RUNS),
               partial(runs.half_removed, directory=runs.WORKTREES))),
    Kind("worktrees", "checked-out commits of runs", ("worktrees/",), keys=("worktrees",), find=(runs.worktrees,)),
    Kind("logs", "files of runs", ("runs/",), keys=("logs", "logs_size"), find=(runs.logs,),
         backed_up=BackedUp.SOME, backed_up_files=(".log",)),
    Kind("cache", "outputs of steps", ("cache/",), keys=("cache", "cache_size"), find=(cache.results,)),
    Kind("captures", "captured requests and feedback",
         ("environments/*/capture/", "environments/*/captured/", "environments/*/shadow/"), keys=("captures",),
         find=(serving.captures,), backed_up=BackedUp.CAPTURES),
    Kind("labels", "requests, with labels and captured inputs", ("labels/",), keys=("labels", "labels_rows"),
         find=(labels.requests,), backed_up=BackedUp.CAPTURED),
    Kind("replica_logs", "logs of replicas", ("environments/*/*.log*", "environments/*/*.ended"),
         keys=("replica_logs",), find=(serving.replica_logs,), backed_up=BackedUp.YES),
    Kind("images", "serving images; `podium images --prune`", ("sboms/", "models/*/*.spdx.json"), ("images",),
         kept="as long as the image", backed_up=BackedUp.YES),
    Kind("models", "fetched files of versions", ("models/",), keys=("models",), find=(serving.models,)),
    Kind("runs", "runs, steps and approvals", tables=("runs", "steps", "approvals"), keys=("runs",),
         find=(runs.rows,)),
    Kind("reports", "gate reports, requests to canaries", tables=("gates", "orders"), keys=("reports",),
         find=(journal_rows.reports,)),
    Kind("messages", "what others were told", tables=("outbox",), keys=("messages",), find=(journal_rows.messages,)),
    Kind("ci", "CI runs of the Git host, as last seen", tables=("host_runs",), keys=("ci",),
         find=(journal_rows.ci_runs,)),
    Kind("samples", "live signals", tables=("samples", "sample_series"), keys=("samples",)),
    Kind("audit", "who did what", ("sealed/audit-*",), ("audit", "audit_head"), ("audit",), (journal_rows.audit,),
         backed_up=BackedUp.YES),
    Kind("ledger", "deployments", ("sealed/ledger-*",), ("deployments",), ("ledger",), (journal_rows.ledger,),
         backed_up=BackedUp.YES),
    Kind("segments", "the list of what is sealed", ("sealed/",), ("segments",), kept="always"),
    Kind("store", "MLflow's runs and models, where it is embedded",
         ("mlflow/", "mlflow.db*", "artifacts/", "mlflow.ready", "mlruns/"),
         kept="always: these are the models themselves", backed_up=BackedUp.STORE),
    Kind("registry", "the registry as last seen", tables=("models", "versions", "histories"),
         kept="as long as MLflow has them"),
    Kind("serving", "what runs, and its configuration", ("environments/",), ("replicas", "pictures", "quarantine"),
         kept="as long as it runs"),
    Kind("alerts", "how alerts stand, and their changes", tables=("alerts", "alert_states", "silences", "loops"),
         kept="the latest 10,000 changes"),
    Kind("measurements", "what monitors measured and keep of references", ("monitors/",), ("measurements",),
         ("measurements",), (journal_rows.measurements, monitors.references)),
    Kind("evidence", "digests of versions' files, so that they are computed once", ("evidence-digests.json",),
         kept="of the latest 10,000 files"),
    Kind("statements", "who signed which version", ("statements/",), kept="always", backed_up=BackedUp.YES),
    Kind("infra", "plans that wait, outputs, what tools fetched", ("infra/",),
         kept="plans until they are applied or expire, the rest as long as podium.yaml has it",
         backed_up=BackedUp.SOME, backed_up_files=("outputs.json", "state.json")),
    Kind("reserve", "room for a rollback when the disk is full", ("reserve",), kept="until the disk is full"),
    Kind("journal", "the journal's file", ("journal.db*",), kept="as its rows"),
    Kind("own", "the project's own notes, the agent's log",
         ("home.json", ".home.lock", "podium.yaml.good", "agent.*", "preload/", "claimed/"),
         ("agent", "locks", "values"), kept="always", backed_up=BackedUp.SOME, backed_up_files=("home.json",)),
)  # fmt: skip


def named(name: str) -> Kind | None:
    return next((kind for kind in KINDS if kind.name == name), None)


def kind_of(path: str) -> Kind | None:
    """Returns the kind that a path below `.podium/` belongs to; None for one that no row has."""
    return next((kind for kind in KINDS if any(_has(place, path) for place in kind.places)), None)


def kind_of_table(table: str) -> Kind | None:
    return next((kind for kind in KINDS if table in kind.tables), None)


def _has(place: str, path: str) -> bool:
    """Whether a pattern has the path: each part by itself, so that `*` is one name."""
    wanted, parts = place.rstrip("/").split("/"), path.strip("/").split("/")
    if len(parts) < len(wanted) or (len(parts) > len(wanted) and not place.endswith("/")):
        return False
    return all(fnmatch(part, pattern) for part, pattern in zip(parts, wanted, strict=False))
