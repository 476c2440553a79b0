"""The agent's job that tells the sinks what the outbox has for them."""

from __future__ import annotations

import time
from collections.abc import Callable

from .. import plugins
from ..domain.monitoring import SinkStatus, Standing
from ..domain.outbox import Message, MessageState
from ..domain.project import Project, Sink
from ..errors import Interrupted, NotFound, PodiumError, RunFailed, UsageError
from ..journal import Journal
from ..journal.outbox import Undeliverable, deliver
from ..logs.masking import masked
from ..named_hosts import require_encrypted
from .sinks import Notice, Send
from .sinks.webhook import path_of
from .telling import FIRING, PREFIX, body_of, change_of_standing, told_up_to, wanted

REFRESH_SECONDS = 60.0
"""How often an Alertmanager is told again of all that fires."""
MIN_ATTEMPTS = 3
"""A sink that has failed so often is a trouble that people are told of; one that fails once is tried again soon."""
_TROUBLE = "sink "


class Sender:
    """Belongs to one thread."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._refreshed = 0.0
        self._released = False

    def __call__(self, project: Project, journal: Journal) -> None:
        """Sends what is due, and notes which sinks take nothing."""
        if not self._released:
            journal.outbox.release(PREFIX)
            self._released = True
        self._refresh(project, journal)
        tried: list[int] = []

        def send(message: Message) -> None:
            tried.append(message.id)
            send_message(project, message)

        deliver(journal.outbox, send, prefix=PREFIX)
        if tried:
            _note_troubles(project, journal)

    def _refresh(self, project: Project, journal: Journal) -> None:
        """Tells each Alertmanager what fires. That an attempt fails is no matter: the next one comes in a minute."""
        sinks = [each for each in project.notify.sinks.values() if each.kind == "alertmanager"]
        now = self._clock()
        if not sinks or 0 <= now - self._refreshed < REFRESH_SECONDS:
            return
        self._refreshed = now
        firing = [change_of_standing(each) for each in journal.alert_states.all().values() if _told(journal, each)]
        for sink in sinks:
            mine = [each for each in firing if wanted(project, sink, each)]
            if mine:
                _put(sink, project.name, mine)


def _told(journal: Journal, standing: Standing) -> bool:
    """Tells whether it fires and people were told so. Of what still waits for others, it is not known yet whether it is
    silenced."""
    status = standing.status
    return status.firing and not standing.untold and status.episode <= told_up_to(journal, status.environment)


def _put(sink: Sink, project: str, changes: list[dict[str, object]]) -> None:
    from .sinks.alertmanager import put

    try:
        put(sink, project, changes)
    except Interrupted:
        raise
    except PodiumError:
        return  # a message that waits for the sink says so


def send_message(project: Project, message: Message) -> None:
    """Sends one message of the outbox. Raises Undeliverable for one that its sink will never take, and another
    PodiumError where another attempt may help; no error holds a secret."""
    sink = project.notify.sinks.get(message.receiver.removeprefix(PREFIX))
    if sink is None:
        raise Undeliverable(f"podium.yaml has no sink {message.receiver.removeprefix(PREFIX)} any more")
    repeat = message.attempts > 1 or bool(message.error)  # a person may have had it tried anew
    notice = Notice(project.home, message.key, message.body, repeat, message.added)
    _send(project, sink, notice)


def _send(project: Project, sink: Sink, notice: Notice) -> None:
    send: Send = plugins.load("notifiers", sink.kind)
    try:
        _require_encrypted(project, sink)
        send(sink, notice)
    except Interrupted:
        raise
    except PodiumError as error:
        error.message = masked(error.message, (*project.secrets, sink.address))
        raise
    except Exception as error:  # libraries name a part of an address, in which no secret is found any more
        raise RunFailed(f"sink {sink.name}: {type(error).__name__}", hint="look at its address and keys") from None


def _require_encrypted(project: Project, sink: Sink) -> None:
    """Raises Refused for a webhook whose address is a secret, since a variable gave it, and would go over plain http to
    another machine. What stands written out in podium.yaml is none, and a server's name alone is none either."""
    if sink.kind == "webhook" and sink.address in project.secrets and path_of(sink.address) != "/":
        require_encrypted(sink.address, f"sink {sink.name}: what follows the server's name in its address")


def send_test(project: Project, name: str) -> None:
    """Sends a sink a message that says it is a test, now and once. Raises NotFound for an unknown one, UsageError for a
    terminal, and what the sink raises."""
    sink = project.notify.sinks.get(name)
    if sink is None:
        names = ", ".join(project.notify.sinks) or "none"
        raise NotFound(f"there is no sink {name!r}", hint=f"podium.yaml has: {names}")
    if sink.kind == "terminal":
        raise UsageError(f"{name} is a terminal: an open cockpit tells it", hint="open the cockpit: `podium ui`")
    now = time.time()
    _send(project, sink, Notice(project.home, f"test-{now:.6f}", _test_body(project, now), added=now))


def _test_body(project: Project, now: float) -> dict[str, object]:
    from ..domain.monitoring import AlertEvent
    from .telling import change_of

    environment = next(iter(project.environments), "none")
    words = "This is a test: nothing is the matter."
    event = AlertEvent(0, "podium-test", environment, "test", FIRING, now, None, words, severity="info", started=now)
    return {**body_of(project, environment, [change_of(event)]), "test": True}


def sinks(project: Project, journal: Journal) -> list[SinkStatus]:
    """Returns how each sink of podium.yaml is: what waits for it, and why."""
    backlogs = {each.receiver: each for each in journal.outbox.backlogs()}
    found: list[SinkStatus] = []
    for name, sink in project.notify.sinks.items():
        backlog = backlogs.get(PREFIX + name)
        sent = journal.outbox.list(MessageState.SENT, receiver=PREFIX + name, limit=1)
        status = SinkStatus(name, sink.kind, last=sent[0].ended if sent else None)
        if backlog is not None:
            error = backlog.error or backlog.given_up
            status = SinkStatus(
                name, sink.kind, backlog.waiting, backlog.failed, backlog.oldest, backlog.attempts, error, status.last
            )
        found.append(status)
    return found


def _note_troubles(project: Project, journal: Journal) -> None:
    failing = [each for each in sinks(project, journal) if each.waiting and each.attempts >= MIN_ATTEMPTS]
    journal.agent.forget(_TROUBLE, {_TROUBLE + each.name for each in failing})
    for each in failing:
        journal.agent.note(_TROUBLE + each.name, f"alerts cannot be sent: {each.error}")
