"""Who may send feedback, and how much of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.serving import senders
from podium.core.serving.app import App
from podium.core.serving.options import Options, parse
from podium.core.serving.recorder import Recorder
from podium.core.serving.senders import Senders, digest_of

from tests.serving.conftest import Pair

CRM, BILLING = "crm-" + "1" * 20, "billing-" + "2" * 20
CLIENTS = senders.written({"crm": digest_of(CRM), "billing": digest_of(BILLING)})


def test_a_token_tells_who_it_is() -> None:
    known = Senders(CLIENTS, 10.0)
    assert known.name(f"Bearer {CRM}".encode()) == "crm"
    assert known.name(f"bearer  {BILLING} ".encode()) == "billing"
    for wrong in (
        b"",
        b"Bearer",
        b"Bearer ",
        f"Basic {CRM}".encode(),
        f"Bearer {digest_of(CRM)}".encode(),
        b"\xff \xff",
    ):
        assert known.name(wrong) is None, wrong
    assert Senders("open", 1.0).name(b"") == "" and not Senders("open", 1.0).closed
    assert Senders("closed", 1.0).name(b"") is None and Senders("closed", 1.0).closed


def test_a_client_that_sends_too_much_does_not_keep_others_from_sending() -> None:
    now = [0.0]
    known = Senders(CLIENTS, 10.0, lambda: now[0])
    assert (known.take("crm", 1000), known.take("crm", 1), known.take("billing", 5)) == (50, 0, 5)
    now[0] += 1.0
    assert known.take("crm", 1000) == 10
    now[0] += 3600.0
    assert known.take("crm", 1000) == 50, "what was not sent is not saved up for ever"


@pytest.mark.parametrize("text", ["crm", "crm=1", "crm=" + "g" * 64, "a b=" + "0" * 64, f"{CLIENTS},"])
def test_an_option_that_means_nothing_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="NAME=DIGEST"):
        senders.read(text)
    with pytest.raises(SystemExit):
        parse(["--model", str(tmp_path), "--port", "0", "--feedback", text], {})


@pytest.fixture
def asked(pair: Callable[[str], Pair], saved: dict[str, Path], tmp_path: Path) -> Iterator[Callable[..., Pair]]:
    made: list[Pair] = []

    def start(feedback: str = CLIENTS, rate: float = 2.0) -> Pair:
        kept = Recorder(tmp_path, name="1", rate=0.0, limit=1 << 20)
        app = App(Options(saved["sklearn"], 0, feedback=feedback, feedback_rate=rate), kept)
        made.append(Pair(app, None, pair("sklearn").loop))
        return made[-1]

    yield start
    for each in made:
        each.ours.close()


def send(replica: Pair, number: int, token: str = "") -> int:
    body = json.dumps([{"request_id": f"r{place}", "truth": 1} for place in range(number)]).encode()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return replica.ask(replica.ours, "POST", "/feedback", body, headers).status_code


def lines(directory: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (directory / "feedback-1.jsonl").read_text().splitlines()]


def test_labels_carry_the_name_of_who_sent_them(asked: Callable[..., Pair], tmp_path: Path) -> None:
    replica = asked()
    assert (send(replica, 2, CRM), send(replica, 1, BILLING)) == (202, 202)
    assert (send(replica, 1), send(replica, 1, "wrong" * 10)) == (401, 401)
    assert send(replica, 20, CRM) == 429
    replica.ours.recorder.flush()
    found = lines(tmp_path)
    assert [each["client"] for each in found if "request_id" in each].count("billing") == 1
    assert {each["client"]: each["refused"] for each in found if "refused" in each} == {"(wrong token)": 2, "crm": 12}
    text = (tmp_path / "feedback-1.jsonl").read_text()
    assert CRM not in text and digest_of(CRM) not in text
    assert replica.ours.recorder.counts["feedback_refused"] == 14


def test_where_nobody_has_to_prove_who_it_is_labels_carry_no_name(asked: Callable[..., Pair], tmp_path: Path) -> None:
    replica = asked("open")
    assert send(replica, 1) == 202
    replica.ours.recorder.flush()
    assert "client" not in lines(tmp_path)[0]


def test_a_closed_replica_says_what_is_missing(asked: Callable[..., Pair]) -> None:
    replica = asked("closed")
    answer = replica.ask(replica.ours, "POST", "/feedback", b'{"request_id": "a", "truth": 1}')
    assert answer.status_code == 403 and "feedback" in answer.json()["message"]


def test_no_token_is_among_the_words_of_a_process(tmp_path: Path) -> None:
    found = parse(
        ["--model", str(tmp_path), "--port", "0"], {"PODIUM_SERVING_FEEDBACK": CLIENTS, "PODIUM_SERVING_KEY_SALT": "s"}
    )
    assert (found.feedback, found.key_salt) == (CLIENTS, "s") and CRM not in repr(found) and "'s'" not in repr(found)
