"""Whether everybody was told of everything once."""

from __future__ import annotations

from podium.core.journal import Journal

from .receiving import Taken


def changes(journal: Journal) -> list[tuple[str, str, int]]:
    """What people are told of: name, state and episode of each change, oldest first."""
    told = [each for each in reversed(journal.alerts.recent(10_000)) if each.state in ("firing", "resolved")]
    return [(each.name, each.state, each.episode) for each in told]


def caught_up(journal: Journal) -> bool:
    newest = journal.alerts.newest()
    told = int(journal.values.get("alerts told:production") or 0)
    seen = int(journal.values.get("alerts seen") or 0)
    return seen == journal.measurements.newest_id() and told == newest


def told(web: Taken) -> list[tuple[str, str, int]]:
    """What came of it, in its order. A message that came again has to say so."""
    seen: set[str] = set()
    found: list[tuple[str, str, int]] = []
    for message in web.messages:
        if message["key"] in seen:
            assert message["repeat"], "sent twice unmarked"
            continue
        seen.add(message["key"])
        found += [(each["alert"], each["state"], each["episode"]) for each in message["changes"]]
    return found


def check(web: Taken, events: list[tuple[str, str, int]], measurements: int) -> None:
    """Each measurement made one event, and each event is in one message."""
    turns = [state for _, state, _ in events]
    assert turns == [("firing", "resolved")[index % 2] for index in range(len(turns))]
    assert len(turns) == measurements + measurements % 2, "the last one is good"
    assert told(web) == events
