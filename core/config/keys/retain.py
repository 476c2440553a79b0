"""The keys of `retain` in podium.yaml."""

from __future__ import annotations

from ..kinds import Duration, Integer, Size
from ..sections import Key, Section

_age = Duration(low=1.0)
RETAIN = Section(
    "retain",
    (
        Key("runs", _age, "ended runs in the journal (365d)"),
        Key("logs", _age, "log files of ended runs (180d)"),
        Key("logs_size", Size(), "all of them together; beyond it the oldest go (10g)"),
        Key("cache", _age, "results that no run has used for so long (30d)"),
        Key("cache_size", Size(), "the whole cache; beyond it what was used longest ago goes (20g)"),
        Key("worktrees", _age, "worktrees of runs that did not succeed (14d)"),
        Key("samples", _age, "live signals, coarser the older they are (365d)"),
        Key("measurements", _age, "what monitors measured, and what they keep of their references (90d)"),
        Key("captures", _age, "captured requests and feedback (30d)"),
        Key("labels", _age, "requests with predictions, labels and captured inputs (90d)"),
        Key("labels_rows", Integer(low=1), "the most of them in one environment (1000000)"),
        Key("models", _age, "fetched files of versions that nothing needs (30d)"),
        Key("replica_logs", _age, "logs of replicas that are gone (30d)"),
        Key("reports", _age, "gate reports beyond the newest five of a version, and requests to canaries (365d)"),
        Key("messages", _age, "messages that were sent or given up (30d)"),
        Key("ci", _age, "CI runs of the Git host, as last seen (30d)"),
        Key("temporary", _age, "what a crash left behind, and its reports (7d)"),
        Key("audit", _age, "audit entries in the journal; older ones are sealed, never removed (180d)"),
        Key("ledger", _age, "deployments in the journal; older ones are sealed, never removed (365d)"),
        Key("evidence", _age, "what an auditor needs stays so long, whatever the other keys say (180d)"),
    ),
)
