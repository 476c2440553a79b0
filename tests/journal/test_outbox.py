"""Messages to others: at least once, in order for each receiver, by one process at a time, and never without a trace."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.domain.outbox import Message, MessageState
from podium.core.errors import Interrupted, NotFound, Unreachable, UsageError
from podium.core.journal import Journal, outbox
from podium.core.journal.outbox import Outbox, Undeliverable, deliver


class Time:
    """A clock that stands still until it is moved, and a lot that is always the same."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def lot(self) -> float:
        return 1.0


class Receivers:
    """Keeps what was sent, by receiver. `down` do not answer; `refusing` will never take these bodies."""

    def __init__(self) -> None:
        self.got: list[tuple[str, int, str]] = []
        self.down: set[str] = set()
        self.refusing: set[int] = set()

    def send(self, message: Message) -> None:
        if message.receiver in self.down:
            raise Unreachable(f"{message.receiver} does not answer")
        if message.body["n"] in self.refusing:
            raise Undeliverable("400: what is this?")
        self.got.append((message.receiver, message.body["n"], message.key))

    def numbers(self, receiver: str) -> list[int]:
        return [number for name, number, _ in self.got if name == receiver]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as made:
        yield made


@pytest.fixture
def box(journal: Journal, time: Time) -> Outbox:
    return Outbox(journal._database, clock=time, lot=time.lot)


@pytest.fixture
def others() -> Receivers:
    return Receivers()


def fill(box: Outbox, *receivers: str) -> list[Message]:
    return [box.add(receiver, "status", {"n": number}) for number, receiver in enumerate(receivers)]


def test_what_was_added_is_sent_once_in_order(box: Outbox, others: Receivers) -> None:
    fill(box, "hub", "chat", "hub", "hub", "chat")
    assert deliver(box, others.send) == 5
    assert others.numbers("hub") == [0, 2, 3] and others.numbers("chat") == [1, 4]
    assert deliver(box, others.send) == 0 and box.next_due() is None and box.backlogs() == []
    assert {each.state for each in box.list()} == {MessageState.SENT} and len({key for _, _, key in others.got}) == 5


def test_a_message_is_added_with_the_change_that_it_tells_of_or_not_at_all(journal: Journal, box: Outbox) -> None:
    with pytest.raises(RuntimeError), journal.transaction():
        journal.values.set("a", "b")
        box.add("hub", "status", {"n": 1})
        raise RuntimeError
    assert box.list() == [] and journal.values.get("a") is None


def test_the_same_thing_is_told_once(box: Outbox, others: Receivers) -> None:
    first = box.add("hub", "status", {"n": 1}, key="run 7 succeeded")
    assert box.add("hub", "status", {"n": 2}, key="run 7 succeeded") == first
    deliver(box, others.send)
    assert box.add("hub", "status", {"n": 3}, key="run 7 succeeded").state is MessageState.SENT
    assert others.got == [("hub", 1, "run 7 succeeded")]


def test_a_receiver_that_is_down_keeps_back_its_own_messages_and_nobody_elses(
    box: Outbox, others: Receivers, time: Time
) -> None:
    fill(box, "hub", "chat", "hub", "chat")
    others.down.add("hub")
    assert deliver(box, others.send) == 2 and others.numbers("chat") == [1, 3] and others.numbers("hub") == []
    [backlog] = box.backlogs()
    assert (backlog.receiver, backlog.waiting, backlog.failed, backlog.attempts) == ("hub", 2, 0, 1)
    assert backlog.error == "hub does not answer" and backlog.oldest == time.now
    others.down.clear()
    assert deliver(box, others.send) == 0, "it waits for its pause"
    time.now += outbox.FIRST_RETRY_INTERVAL
    assert deliver(box, others.send) == 2 and others.numbers("hub") == [0, 2]


def test_pauses_grow_and_end(box: Outbox, others: Receivers, time: Time) -> None:
    [message] = fill(box, "hub")
    others.down.add("hub")
    pauses: list[float] = []
    for _ in range(outbox.MAX_ATTEMPTS - 1):
        deliver(box, others.send)
        pause = box.next_due()
        assert pause is not None
        pauses.append(pause)
        time.now += pause
    assert pauses[:4] == [2.0, 4.0, 8.0, 16.0] and pauses == sorted(pauses) and max(pauses) == outbox.MAX_RETRY_INTERVAL
    assert 12 * 3600 < sum(pauses) < 48 * 3600, "about a day"
    deliver(box, others.send)
    given_up = box.get(message.id)
    assert (
        given_up.state is MessageState.FAILED
        and given_up.attempts == outbox.MAX_ATTEMPTS
        and given_up.ended == time.now
    )
    assert box.next_due() is None and [backlog.failed for backlog in box.backlogs()] == [1]


def test_half_of_a_pause_is_drawn_by_lot(journal: Journal, time: Time, others: Receivers) -> None:
    others.down.add("hub")
    dues: list[float | None] = []
    for lot in (0.0, 0.5, 1.0):
        one = Outbox(journal._database, clock=time, lot=lambda lot=lot: lot)
        message = one.add("hub", "status", {"n": 1})
        deliver(one, others.send)
        dues.append(one.get(message.id).due - time.now)
        one.drop(message.id, "enough")
    assert dues == [1.0, 1.5, 2.0]


def test_a_message_that_nobody_will_ever_take_makes_way_at_once(box: Outbox, others: Receivers) -> None:
    fill(box, "hub", "hub", "chat")
    others.refusing.add(0)
    assert deliver(box, others.send) == 2 and others.numbers("hub") == [1]
    [failed] = box.list(MessageState.FAILED)
    assert failed.error == "400: what is this?" and failed.attempts == 1


def test_a_fault_of_the_sender_is_a_failed_attempt_and_an_interruption_is_none(box: Outbox) -> None:
    [message] = fill(box, "hub")

    def broken(_: Message) -> None:
        raise KeyError

    assert deliver(box, broken) == 0 and box.get(message.id).error == "KeyError"
    box.retry(message.id)

    def interrupted(_: Message) -> None:
        raise Interrupted("end")

    with pytest.raises(Interrupted):
        deliver(box, interrupted)
    assert box.get(message.id).state is MessageState.WAITING


def test_what_was_sent_and_not_noted_is_sent_again_with_the_same_key(
    box: Outbox, others: Receivers, time: Time
) -> None:
    fill(box, "hub", "hub")
    message = box.claim()
    assert message is not None
    others.send(message)  # and here the process is killed
    assert deliver(box, others.send) == 0, "another process may still be at it, and order is kept"
    time.now += outbox.LEASE_SECONDS
    assert deliver(box, others.send) == 2
    assert others.numbers("hub") == [0, 0, 1] and len({key for _, _, key in others.got}) == 2


def test_a_message_that_kills_its_sender_is_given_up_too(box: Outbox, others: Receivers, time: Time) -> None:
    [message, after] = fill(box, "hub", "hub")
    for _ in range(outbox.MAX_ATTEMPTS):
        assert box.claim() is not None  # and each time the process is killed
        time.now += outbox.LEASE_SECONDS
    last = box.claim()
    assert last is not None and last.id == message.id
    box.failed(last, "killed the agent")
    assert box.get(message.id).state is MessageState.FAILED
    assert deliver(box, others.send) == 1 and others.got[0][1] == after.body["n"]


def test_one_who_is_late_does_not_undo_what_another_has_done(box: Outbox, time: Time) -> None:
    [message] = fill(box, "hub")
    late = box.claim()
    time.now += outbox.LEASE_SECONDS
    other = box.claim()
    assert late is not None and other is not None
    box.failed(late, "too late")
    assert box.claim() is None, "the other one still has it"
    box.failed(late, "too late", final=True)
    assert box.get(message.id).state is MessageState.WAITING
    box.sent(other)
    box.failed(late, "too late")
    assert box.get(message.id).state is MessageState.SENT


def test_a_clock_that_was_ahead_holds_nothing_back(box: Outbox, others: Receivers, time: Time) -> None:
    time.now += 365 * 86400
    fill(box, "hub", "chat")
    others.down.add("hub")
    deliver(box, others.send)
    box.add("mail", "status", {"n": 9})
    claimed = box.claim()
    assert claimed is not None and claimed.receiver == "mail"
    time.now -= 365 * 86400
    others.down.clear()
    assert box.next_due() == 0.0 and deliver(box, others.send) == 2
    assert others.numbers("hub") == [0] and others.numbers("mail") == [9]


def test_no_more_wait_for_one_receiver_than_there_is_room_for(
    box: Outbox, others: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_WAITING", 3)
    fill(box, "hub", "hub", "chat", "hub", "hub", "hub")
    assert [each.body["n"] for each in box.list(MessageState.FAILED)] == [1, 0]
    assert "more than 3" in box.list(MessageState.FAILED)[0].error
    deliver(box, others.send)
    assert others.numbers("hub") == [3, 4, 5] and others.numbers("chat") == [2]


def test_what_has_ended_is_forgotten_in_the_end_and_what_waits_never(
    box: Outbox, others: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_ENDED", 4)
    others.down.add("chat")
    fill(box, "chat", *["hub"] * 10)
    deliver(box, others.send)
    box.add("hub", "status", {"n": 99})
    assert [each.body["n"] for each in box.list()] == [99, 10, 9, 8, 7, 0]


def test_a_body_has_a_largest_size_and_need_not_be_utf_8(box: Outbox, others: Receivers) -> None:
    with pytest.raises(UsageError, match="too large"):
        box.add("hub", "status", {"text": "x" * outbox.MAX_BODY_BYTES})
    box.add("hub", "status", {"n": 1, "text": "\udce9 ü"})
    assert deliver(box, others.send) == 1 and box.list()[0].body["text"] == "\udce9 ü"
    message = box.add("hub", "status", {"n": 2})
    box.failed(message, "\udce9" * 2_000)
    assert len(box.get(message.id).error) == 500


def test_a_person_can_look_try_again_and_drop(box: Outbox, others: Receivers, time: Time) -> None:
    first, second, third = fill(box, "hub", "hub", "chat")
    others.refusing.update({0, 2})
    others.down.add("hub")
    deliver(box, others.send)
    assert [each.id for each in box.list(MessageState.WAITING)] == [second.id, first.id]
    assert [each.id for each in box.list(receiver="chat")] == [third.id] and len(box.list(limit=2)) == 2
    assert {one.receiver: (one.waiting, one.failed, one.error, one.given_up) for one in box.backlogs()} == {
        "chat": (0, 1, "", "400: what is this?"),
        "hub": (2, 0, "hub does not answer", ""),
    }
    box.drop(first.id, "nobody needs it")
    others.down.clear()
    others.refusing.clear()
    assert box.retry(third.id).attempts == 0 and deliver(box, others.send) == 2
    assert others.numbers("hub") == [1] and others.numbers("chat") == [2]
    assert box.retry(second.id).state is MessageState.SENT, "what was told is not told again"
    assert box.get(first.id).error == "nobody needs it"
    with pytest.raises(NotFound):
        box.retry(999)


def test_it_ends_between_two_messages_when_it_is_told(box: Outbox, others: Receivers) -> None:
    fill(box, "hub", "hub", "hub")
    assert deliver(box, others.send, stop=lambda: len(others.got) == 2) == 2


_SENDER = """
import sys
from pathlib import Path
from podium.core.journal import Journal
from podium.core.journal.outbox import deliver
journal, log = Journal.open(Path(sys.argv[1])), open(sys.argv[2], "a", buffering=1)
print("ready", flush=True)
sys.stdin.readline()
deliver(journal.outbox, lambda message: log.write(f"{message.receiver} {message.body['n']}\\n"))
"""


def test_several_processes_send_each_message_once_and_in_order(tmp_path: Path) -> None:
    path, log = tmp_path / "journal.db", tmp_path / "log"
    with Journal.open(path) as journal:
        for number in range(60):
            journal.outbox.add(f"r{number % 4}", "status", {"n": number})
        senders = [
            subprocess.Popen(
                [sys.executable, "-c", _SENDER, str(path), str(log)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        for sender in senders:
            assert sender.stdout is not None and sender.stdout.readline() == "ready\n"
        for sender in senders:
            assert sender.stdin is not None
            sender.stdin.write("\n")
            sender.stdin.flush()
        for sender in senders:
            sender.communicate(timeout=60)
        # One that found only what the others were at has ended early.
        deliver(journal.outbox, lambda message: log.open("a").write(f"{message.receiver} {message.body['n']}\n"))
        assert journal.outbox.backlogs() == []
    sent = [line.split() for line in log.read_text().splitlines()]
    assert len(sent) == 60
    for receiver in ("r0", "r1", "r2", "r3"):
        numbers = [int(number) for name, number in sent if name == receiver]
        assert numbers == sorted(numbers) and len(set(numbers)) == 15
