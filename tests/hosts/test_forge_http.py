"""What a client has to live with: limits, unchanged answers, and everything that the script of faults can do."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from podium.core.demo.forge import Forge

REPO = "acme/flight-delay"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with Forge("github", tmp_path / "forge") as forge:
        forge.commit(forge.make_repo(REPO), "First")
        yield forge


@pytest.fixture
def asked(forge: Forge) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {forge.token}"}
    with httpx.Client(base_url=f"{forge.api_url}/repos/{REPO}", headers=headers, trust_env=False, timeout=30) as client:
        yield client


def test_an_unchanged_answer_costs_nothing(forge: Forge, asked: httpx.Client) -> None:
    first = asked.get("/branches")
    used = int(first.headers["X-RateLimit-Used"])
    again = asked.get("/branches", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content, int(again.headers["X-RateLimit-Used"])) == (304, b"", used)
    forge.commit(REPO, "Second")
    changed = asked.get("/branches", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200 and int(changed.headers["X-RateLimit-Used"]) == used + 1


def test_the_limit_is_a_limit(forge: Forge, asked: httpx.Client) -> None:
    forge.rates.limit = 2
    answers = [asked.get("/branches") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 403]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    forge.rates.reset()
    assert asked.get("/branches").status_code == 200


def test_faults_happen_where_and_as_often_as_the_script_says(forge: Forge, asked: httpx.Client) -> None:
    forge.faults.add(status=503, path="/branches$", headers={"Retry-After": "7"}, count=2)
    assert asked.get("/commits").status_code == 200
    answers = [asked.get("/branches") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200] and answers[0].headers["Retry-After"] == "7"
    forge.faults.add(login=True)
    page = asked.get("/branches")
    assert (
        page.status_code == 200 and page.headers["Content-Type"].startswith("text/html") and b"password" in page.content
    )
    forge.faults.add(skew=7200.0)
    ahead = parsedate_to_datetime(asked.get("/branches").headers["Date"])
    honest = parsedate_to_datetime(asked.get("/branches").headers["Date"])
    assert 7000 < (ahead - honest).total_seconds() < 7400


def test_a_cut_answer_is_cut_and_carried_out(forge: Forge, asked: httpx.Client) -> None:
    sha = asked.get("/branches/main").json()["commit"]["sha"]
    for fault in ({"cut": True}, {"drop": True, "done": True}, {"status": 502, "done": True}, {"drop": True}):
        forge.faults.add(method="POST", **fault)
        with suppress(httpx.RemoteProtocolError):
            assert asked.post(f"/statuses/{sha}", json={"state": "success"}).status_code == 502
    assert len(forge.state.repo(REPO).marks[sha]) == 3
    assert [call.status for call in forge.requests.matching("POST")] == [201, 0, 502, 0]


def test_random_faults_are_the_same_again_with_the_same_seed(forge: Forge, asked: httpx.Client) -> None:
    def answers() -> list[int]:
        forge.faults.seed(7)
        return [asked.get("/branches").status_code for _ in range(20)]

    forge.faults.add(status=500, count=None, probability=0.5)
    assert answers() == answers() and {200, 500} == set(answers())
    forge.faults.clear()
    assert asked.get("/branches").status_code == 200


def test_a_log_lies_elsewhere_and_a_token_has_no_business_there(forge: Forge, asked: httpx.Client) -> None:
    run = forge.ci.start(REPO)
    assert asked.get(f"/actions/jobs/{run.jobs[0].id}/logs").status_code == 404, "it still runs"
    forge.ci.append_log(run.jobs[0], "hello\n")
    forge.ci.finish(run)
    moved = asked.get(f"/actions/jobs/{run.jobs[0].id}/logs")
    assert moved.status_code == 302 and urlsplit(moved.headers["Location"]).netloc != urlsplit(forge.url).netloc
    assert httpx.get(moved.headers["Location"]).text.endswith("Z hello\n")
    assert httpx.get(moved.headers["Location"], headers=asked.headers).status_code == 401
    assert [call.token for call in forge.requests.matching(server="storage")] == [None, True]


def test_a_body_that_is_none(asked: httpx.Client) -> None:
    sha = asked.get("/branches/main").json()["commit"]["sha"]
    for content in (b"{", b"[]", b"[" * 100_000):
        assert asked.post(f"/statuses/{sha}", content=content).status_code == 400
    assert asked.post(f"/statuses/{sha}", content=b" " * (9 << 20)).status_code == 413
    assert asked.request("POST", "/nothing").status_code == 404


def test_events_say_how_often_to_ask(forge: Forge, asked: httpx.Client) -> None:
    forge.options.poll_interval = 5
    answer = asked.get("/events")
    assert answer.headers["X-Poll-Interval"] == "5"
    assert [event["payload"]["ref"] for event in answer.json()] == ["refs/heads/main"]


def test_an_app_gets_a_token_for_an_hour(forge: Forge) -> None:
    import base64

    now = int(forge.state.now())
    parts = [{"alg": "RS256", "typ": "JWT"}, {"iss": "1", "iat": now - 30, "exp": now + 300}]
    jwt = ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts), "c2ln"]
    )
    with httpx.Client(base_url=forge.api_url, trust_env=False) as client:
        headers = {"Authorization": f"Bearer {jwt}"}
        number = client.get(f"/repos/{REPO}/installation", headers=headers).json()["id"]
        made = client.post(f"/app/installations/{number}/access_tokens", headers=headers)
        assert made.status_code == 201
        own = {"Authorization": f"Bearer {made.json()['token']}"}
        assert client.get(f"/repos/{REPO}", headers=own).status_code == 200
        forge.state.ahead = 4000.0
        assert client.get(f"/repos/{REPO}", headers=own).status_code == 401
        assert (
            client.post(
                f"/app/installations/{number}/access_tokens", headers={"Authorization": "Bearer a.b.c"}
            ).status_code
            == 401
        )


def test_many_threads_at_once_lose_nothing(forge: Forge) -> None:
    """Each has a connection of its own, and writes while the others do."""
    sha = forge.state.repo(REPO).bare.resolve("main")
    statuses: list[int] = []

    def write(number: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(forge.url).netloc, timeout=60)
        for context in range(10):
            body = json.dumps({"state": "success", "context": f"{number}/{context}"})
            connection.request(
                "POST", f"/api/v3/repos/{REPO}/statuses/{sha}", body, {"Authorization": f"token {forge.token}"}
            )
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [201] * 120
    assert len({mark.context for mark in forge.state.repo(REPO).marks[sha]}) == 120
