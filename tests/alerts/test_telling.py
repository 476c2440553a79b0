"""Changes of alerts become messages: grouped, silenced, and for the sinks that want them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.alerts.asked import silence, unsilence
from podium.core.alerts.evaluate import evaluate
from podium.core.alerts.rings import rings
from podium.core.alerts.telling import tell
from podium.core.config import load
from podium.core.domain.monitoring import Ring
from podium.core.domain.project import Project
from podium.core.journal import Journal

from .scene import NOW, measured, project

ALERTS = """\
  errors-high: {monitor: errors, above: 0.1, cooldown: 0}
  errors-worse: {monitor: errors, above: 0.3, cooldown: 0, notify: [pager]}
  slow: {monitor: latency, above: 1s, cooldown: 0}
"""
SINKS = """\
notify:
  wait: 10s
  sinks:
    pager: {command: [./page.sh], resolved: false}
    chat: {webhook: "http://127.0.0.1:1/"}
    here: {terminal: bell}
"""
Measure = Callable[..., None]


@pytest.fixture
def config(tmp_path: Path) -> Project:
    return project(tmp_path, ALERTS, SINKS)


@pytest.fixture
def journal(config: Project) -> Iterator[Journal]:
    with Journal.open(config.state / "journal.db") as journal:
        evaluate(config, journal, NOW)
        yield journal


@pytest.fixture
def measure(config: Project, journal: Journal) -> Measure:
    def made(value: float | None, at: float, monitor: str = "errors") -> None:
        journal.measurements.add(measured(value, at, monitor=monitor))
        evaluate(config, journal, NOW + at)

    return made


def told(journal: Journal, sink: str) -> list[list[tuple[str, str]]]:
    """The messages for a sink, oldest first, each as its changes."""
    found = journal.outbox.list(receiver=f"alert:{sink}")
    return [[(each["alert"], each["state"]) for each in one.body["changes"]] for one in reversed(found)]


def test_one_outage_is_one_message(config: Project, journal: Journal, measure: Measure) -> None:
    measure(0.2, 0)
    assert tell(config, journal, NOW + 9) == 0, "it waits for others"
    measure(0.5, 5)
    measure(2.0, 5, "latency")
    assert tell(config, journal, NOW + 10) == 2
    assert told(journal, "chat") == [[("errors-high", "firing")]]
    assert told(journal, "pager") == [[("errors-high", "firing"), ("errors-worse", "firing")]]
    assert tell(config, journal, NOW + 15) == 2, "another environment's is another message"
    assert told(journal, "chat")[1:] == [[("slow", "firing")]]
    assert tell(config, journal, NOW + 1000) == 0
    body = journal.outbox.list(receiver="alert:chat")[-1].body
    assert (body["project"], body["environment"], body["status"]) == ("shop", "production", "firing")
    change = body["changes"][0]
    numbers = change["value"], change["limit"]
    assert (*numbers, change["shown"], change["threshold"]) == (0.2, 0.1, "20.0 %", "above 10 %")


def test_a_sink_may_want_no_ends(config: Project, journal: Journal, measure: Measure) -> None:
    measure(0.2, 0)
    tell(config, journal, NOW + 10)
    measure(0.0, 20)
    tell(config, journal, NOW + 30)
    assert told(journal, "chat") == [[("errors-high", "firing")], [("errors-high", "resolved")]]
    assert journal.outbox.list(receiver="alert:chat")[0].body["status"] == "resolved"
    assert told(journal, "pager") == [[("errors-high", "firing")]]


def test_what_changed_before_there_were_sinks_is_not_told(tmp_path: Path, journal: Journal, measure: Measure) -> None:
    measure(0.2, 0)
    none = project(tmp_path, ALERTS.replace(", notify: [pager]", ""))
    assert tell(none, journal, NOW + 10) == 0
    assert tell(project(tmp_path, ALERTS, SINKS), journal, NOW + 20) == 0


def silenced(config: Project, journal: Journal, name: str, *, environment: bool = False) -> None:
    silence(config, journal, name, environment=environment, seconds=3600.0, who="anna", why="load test")


@pytest.mark.parametrize(("name", "environment"), [("errors-high", False), ("production", True)])
def test_a_silence_holds_back_the_beginning_and_the_end(
    config: Project, journal: Journal, measure: Measure, name: str, environment: bool
) -> None:
    silenced(config, journal, name, environment=environment)
    now = journal.silences.active(2e9)  # none that is so far away
    assert now == []
    start = journal.audit.page(1)[0].at - NOW + 1
    measure(0.2, start)
    assert tell(config, journal, NOW + start + 20) == 0
    measure(0.0, start + 30)
    unsilence(journal, name, environment=environment, who="anna", why="")
    assert tell(config, journal, NOW + start + 60) == 0, "nobody knew of it"
    assert not any(each.untold for each in journal.alert_states.all().values())


def test_what_still_fires_after_a_silence_is_told_then(config: Project, journal: Journal, measure: Measure) -> None:
    silenced(config, journal, "errors-high")
    start = journal.audit.page(1)[0].at - NOW + 1
    measure(0.2, start)
    tell(config, journal, NOW + start + 20)
    measure(0.25, start + 30)
    assert tell(config, journal, NOW + start + 50) == 0
    assert tell(config, journal, NOW + start + 4000) == 2, "its time is over"
    (message,) = journal.outbox.list(receiver="alert:chat")
    assert message.body["changes"][0]["message"] == "it still fires; its silence is over"
    assert tell(config, journal, NOW + start + 5000) == 0
    measure(0.0, start + 6000)
    tell(config, journal, NOW + start + 6100)
    assert told(journal, "chat")[-1] == [("errors-high", "resolved")]


def test_what_was_told_before_a_silence_is_told_to_be_over(config: Project, journal: Journal, measure: Measure) -> None:
    measure(0.2, 0)
    tell(config, journal, NOW + 10)
    silenced(config, journal, "errors-high")
    measure(0.0, 20)
    tell(config, journal, NOW + 30)
    assert told(journal, "chat") == [[("errors-high", "firing")], [("errors-high", "resolved")]]


def test_a_clock_that_was_put_back_keeps_nothing_waiting(config: Project, journal: Journal, measure: Measure) -> None:
    measure(0.2, 86_400)
    assert tell(config, journal, NOW) == 2


def test_many_changes_are_several_messages(config: Project, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.core.alerts.telling.MAX_CHANGES", 2)
    for at in range(5):
        journal.measurements.add(measured(0.2 * (1 - at % 2), at))
    evaluate(config, journal, NOW)
    assert tell(config, journal, NOW + 60) == 3 + 2
    assert [len(each) for each in told(journal, "chat")] == [2, 2, 1]


def test_long_texts_are_several_messages(tmp_path: Path, journal: Journal) -> None:
    names = [f"errors-{number}" for number in range(30)]
    rules = "".join(
        f"  {name}: {{monitor: errors, above: 0.1, annotations: {{text: {'я' * 2000}}}}}\n" for name in names
    )
    config = project(tmp_path, rules, SINKS)
    journal.measurements.add(measured(0.2))
    evaluate(config, journal, NOW)
    assert tell(config, journal, NOW + 10) > 2, "the outbox takes no message of 360 kB"
    assert [name for one in told(journal, "chat") for name, _ in one] == names


def test_an_environment_that_podium_yaml_has_no_more_ends_what_was_told(
    tmp_path: Path, config: Project, journal: Journal, measure: Measure
) -> None:
    measure(0.2, 0)
    tell(config, journal, NOW + 10)
    (tmp_path / "podium.yaml").write_text(f"project: shop\nenvironments: {{staging: {{port: 5101}}}}\n{SINKS}")
    gone = load(tmp_path)
    evaluate(gone, journal, NOW + 20)
    tell(gone, journal, NOW + 40)
    assert told(journal, "chat") == [[("errors-high", "firing")], [("errors-high", "resolved")]]
    assert tell(gone, journal, NOW + 60) == 0


def test_a_crash_while_messages_are_added_tells_nobody_twice(
    config: Project, journal: Journal, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(0.2, 0)
    with monkeypatch.context() as broken:
        broken.setattr(journal.values, "set", lambda *_: (_ for _ in ()).throw(OSError("no room")))
        with pytest.raises(OSError, match="no room"):
            tell(config, journal, NOW + 10)
    assert told(journal, "chat") == []
    tell(config, journal, NOW + 10)
    assert told(journal, "chat") == [[("errors-high", "firing")]]


def test_an_open_cockpit_rings_for_what_is_new(config: Project, journal: Journal, measure: Measure) -> None:
    measure(0.2, 0)
    newest, none = rings(config, journal, None, NOW)
    assert none == []
    measure(0.0, 20)
    newest, found = rings(config, journal, newest, NOW)
    assert found == [Ring("bell", "errors-high resolved on production")]
    assert rings(config, journal, newest, NOW) == (newest, [])
