"""Each kind of sink, against the real thing."""

from __future__ import annotations

import base64
import json
import os
import re
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
from podium.core.alerts.asked import silence
from podium.core.alerts.evaluate import evaluate
from podium.core.alerts.sender import Sender, send_test, sinks
from podium.core.alerts.telling import tell
from podium.core.config.loading import from_text
from podium.core.domain.project import Project
from podium.core.errors import MissingExtra, NotFound, PodiumError, UsageError
from podium.core.identity.processes import started_at
from podium.core.journal import Journal
from podium.core.triggers.jobs import Notifying
from podium.core.triggers.webhooks import signed

from tests.conftest import required
from tests.servers.prometheus import Alertmanager
from tests.support import free_port, wait_until

from .receiving import Taken, receiver
from .scene import MONITORS, NOW, measured

ALERTS = """\
alerts:
  errors-high:
    monitor: errors
    above: 0.1
    cooldown: 0
    labels: {team: web, empty: ""}
    annotations: {summary: "${{ alert.shown }} fail", runbook_url: "https://example.com/r"}
"""
SECRET = "s3cret-token-of-tests"


@pytest.fixture
def web() -> Iterator[Taken]:
    with receiver() as taken:
        yield taken


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Project]:
    def make(sink: str, **environ: str) -> Project:
        (tmp_path / ".podium").mkdir(mode=0o700, exist_ok=True)
        text = f"{MONITORS}{ALERTS}notify: {{wait: 0s, sinks: {{one: {sink}}}}}\n"
        return from_text(text, "podium.yaml", tmp_path, tmp_path, environ)

    return make


class Told:
    """An alert that fires, and an agent's sender."""

    def __init__(self, project: Project, journal: Journal) -> None:
        self.project, self.journal, self.sender = project, journal, Sender()

    def measure(self, value: float, at: float) -> None:
        self.journal.measurements.add(measured(value, at))
        evaluate(self.project, self.journal, NOW + at)
        tell(self.project, self.journal, NOW + at)

    def send(self) -> None:
        """Sends what waits, whenever it is due."""
        with closing(sqlite3.connect(self.journal.path)) as database:
            database.execute("UPDATE outbox SET due = 0, leased = NULL")
            database.commit()
        self.sender(self.project, self.journal)

    @property
    def error(self) -> str:
        return sinks(self.project, self.journal)[0].error


@pytest.fixture
def telling(made: Callable[..., Project]) -> Iterator[Callable[..., Told]]:
    opened: list[Journal] = []

    def make(sink: str, **environ: str) -> Told:
        project = made(sink, **environ)
        opened.append(Journal.open(project.state / "journal.db"))
        evaluate(project, opened[-1], NOW)
        told = Told(project, opened[-1])
        told.measure(0.5, 0)
        return told

    yield make
    for each in opened:
        each.close()


def test_a_signed_webhook(telling: Callable[..., Told], web: Taken) -> None:
    told = telling('{webhook: "${URL}", key: "${KEY}"}', URL=f"{web.url}/hooks/{SECRET}?a=b", KEY="whsec_bXkga2V5")
    told.send()
    ((path, headers, body),) = web.requests
    assert path == f"/hooks/{SECRET}?a=b"
    assert signed("whsec_bXkga2V5", "gitlab", headers, body, int(headers["webhook-timestamp"]))
    assert not signed("whsec_b3RoZXI=", "gitlab", headers, body, int(headers["webhook-timestamp"]))
    message = json.loads(body)
    assert (message["key"], message["repeat"]) == (headers["webhook-id"], False)
    assert message["title"] == "[firing] shop production: errors-high"
    assert message["text"].splitlines()[1:] == ["50.0 % fail", "runbook: https://example.com/r"]
    assert [each["state"] for each in message["changes"]] == ["firing"]
    assert message["changes"][0]["labels"] == {"team": "web", "empty": ""}


def test_the_check_that_the_page_shows(telling: Callable[..., Told], web: Taken) -> None:
    page = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    documented: dict[str, Callable[..., bool]] = {}
    exec(code, documented)
    told = telling(f'{{webhook: "{web.url}", key: "${{KEY}}"}}', KEY="my key")
    told.send()
    ((_, headers, body),) = web.requests
    assert documented["is_ours"](headers, body, "my key")
    assert not documented["is_ours"](headers, body + b" ", "my key")
    assert not documented["is_ours"]({**headers, "webhook-id": "other"}, body, "my key")
    assert not documented["is_ours"]({**headers, "webhook-timestamp": "1"}, body, "my key")


def test_a_webhook_that_is_down_is_tried_again_with_the_same_id_and_marked(
    telling: Callable[..., Told], web: Taken
) -> None:
    told = telling('{webhook: "${URL}"}', URL=f"{web.url}/{SECRET}")
    told.journal.agent.claim(os.getpid(), started_at(os.getpid()) or 0.0, "anna")
    web.answer = 503
    for _ in range(3):
        told.send()
    assert "answered 503" in told.error and SECRET not in told.error
    (trouble,) = told.journal.agent.status().troubles
    assert trouble.subject == "sink one" and SECRET not in trouble.words
    told.measure(0.0, 10)
    web.answer = 200
    told.send()
    told.send()
    assert web.changes == [("errors-high", "firing"), ("errors-high", "resolved")], "in their order"
    assert [each["repeat"] for each in web.messages] == [True, False]
    assert not told.journal.agent.status().troubles
    (status,) = sinks(told.project, told.journal)
    assert (status.waiting, status.failed, status.error) == (0, 0, "") and status.last


@pytest.mark.parametrize("answer", [400, 410])
def test_a_webhook_that_will_never_take_it(telling: Callable[..., Told], web: Taken, answer: int) -> None:
    told = telling(f'{{webhook: "{web.url}"}}')
    web.answer = answer
    told.send()
    (status,) = sinks(told.project, told.journal)
    assert (status.waiting, status.failed) == (0, 1) and f"answered {answer}" in status.error


def test_a_redirect_is_not_followed(telling: Callable[..., Told], web: Taken) -> None:
    told = telling(f'{{webhook: "{web.url}"}}')
    web.answer = 307
    told.send()
    assert "answered 307, a redirect" in told.error, "the message and its key stay with who is named"


def test_nobody_answers(telling: Callable[..., Told]) -> None:
    told = telling('{webhook: "${URL}", timeout: 1s}', URL=f"http://anna:{SECRET}@127.0.0.1:{free_port()}/x/{SECRET}")
    told.send()
    assert "cannot be reached" in told.error and SECRET not in told.error


def test_an_error_that_nobody_foresaw_names_no_part_of_an_address(telling: Callable[..., Told]) -> None:
    told = telling('{webhook: "${URL}"}', URL=f"http://anna:{SECRET}℀@127.0.0.1/")
    told.send()
    assert told.error == "sink one: ValueError"


def test_a_sink_that_is_gone_is_given_up(
    telling: Callable[..., Told], made: Callable[..., Project], web: Taken
) -> None:
    told = telling(f'{{webhook: "{web.url}"}}')
    told.project = made("{terminal: bell}")
    told.send()
    (message,) = told.journal.outbox.list()
    told.project = from_text(MONITORS, "podium.yaml", told.project.home, told.project.home, {})
    told.journal.outbox.retry(message.id)
    Notifying()(told.project, told.journal)
    assert told.journal.outbox.get(message.id).error == "podium.yaml has no sink one any more"
    assert not told.journal.outbox.waits("alert:")


def script(home: Path, text: str) -> str:
    path = home / "page.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return "./page.sh"


def test_a_command(telling: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    name = script(tmp_path, 'cat > got; env > seen; echo "$1 $2" > words')
    told = telling(f'{{command: [{name}, "a b", $HOME], env: {{TOKEN: "${{PAGER}}"}}}}', PAGER=SECRET)
    told.send()
    assert json.loads((tmp_path / "got").read_text())["changes"][0]["alert"] == "errors-high"
    seen = (tmp_path / "seen").read_text()
    assert f"TOKEN={SECRET}" in seen and "AWS_SECRET" not in seen and f"PATH={os.environ['PATH']}" in seen
    assert (tmp_path / "words").read_text() == "a b $HOME\n", "no shell reads the arguments"


def test_a_command_that_fails_or_hangs(telling: Callable[..., Told], tmp_path: Path) -> None:
    name = script(tmp_path, f"yes | head -c 1000000 >&2; echo 'no such pager: {SECRET}' >&2; exit 3")
    told = telling(f'{{command: [{name}], timeout: 1s, env: {{TOKEN: "${{PAGER}}"}}}}', PAGER=SECRET)
    told.send()
    assert told.error == "sink one: its command ended with 3: no such pager: ***"
    script(tmp_path, "sleep 600 & echo $! > child; sleep 600")
    told.send()
    assert told.error == "sink one: its command did not end within 1 s"
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not Path(f"/proc/{child}/cmdline").exists() or not Path(f"/proc/{child}/cmdline").read_bytes())
    (tmp_path / "page.sh").unlink()
    told.send()
    assert "page.sh cannot be started: No such file" in told.error


def test_apprise(telling: Callable[..., Told], web: Taken) -> None:
    required("" if find_spec("apprise") else "apprise is not installed")
    url = f"{web.url.replace('http', 'json')}/{SECRET}"
    told = telling('{apprise: "${CHAT}", timeout: 1m}', CHAT=url)
    told.send()
    ((path, _, body),) = web.requests
    assert path.rstrip("/") == f"/{SECRET}"
    message = json.loads(body)
    assert message["title"] == "[firing] shop production: errors-high" and "50.0 % fail" in message["message"]
    web.answer = 500
    told.measure(0.0, 10)
    told.send()
    assert "apprise could not send" in told.error and SECRET not in told.error


@pytest.fixture
def way(web: Taken, monkeypatch: pytest.MonkeyPatch) -> Taken:
    """The receiver as a proxy: it gets what is sent over plain http to another machine."""
    for name in ("https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", web.url)
    return web


@pytest.mark.parametrize("address", [f"http://pager.lan/hooks/{SECRET}", f"http://pager.lan?key={SECRET}"])
def test_a_secret_address_of_a_webhook_is_not_sent_over_plain_http(
    telling: Callable[..., Told], way: Taken, address: str
) -> None:
    told = telling('{webhook: "${URL}"}', URL=address)
    told.send()
    assert not way.requests and SECRET not in told.error
    assert "address is not sent to http://pager.lan: over plain http everybody on the way reads it" in told.error


@pytest.mark.parametrize(
    ("sink", "environ"),
    [('{webhook: "http://pager.lan/hooks/podium"}', {}), ('{webhook: "${URL}"}', {"URL": "http://pager.lan:8080"})],
)
def test_an_address_without_a_secret_may_be_plain(
    telling: Callable[..., Told], way: Taken, sink: str, environ: dict[str, str]
) -> None:
    told = telling(sink, **environ)
    told.send()
    assert way.changes == [("errors-high", "firing")]


@pytest.mark.parametrize(
    "address",
    ["json://anna:{}@pager.lan/x", "gotify://pager.lan/{}", "mailto://anna:{}@pager.lan", "jsons://a,json://b/{}"],
)
def test_apprise_sends_no_secret_in_the_clear(telling: Callable[..., Told], way: Taken, address: str) -> None:
    required("" if find_spec("apprise") else "apprise is not installed")
    told = telling('{apprise: "${CHAT}", timeout: 1m}', CHAT=address.format(SECRET))
    told.send()
    assert told.error == "sink one: its address is not sent: without encryption everybody on the way reads it"
    assert not way.requests


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("json://127.0.0.2/x", False),
        ("json://pager.localhost/x", True),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general", False),
        ("ntfy://topic-of-tests", False),
        ("ntfy://pager.lan/topic", True),
        ("mailto://anna:secret@gmail.com", False),
        ("mailto://pager.lan?from=a@pager.lan&to=b@pager.lan", False),
        ("mailto://anna:secret@pager.lan?smtp=127.0.0.1", False),
        ("rsyslog://pager.lan", False),
    ],
)
def test_which_addresses_of_apprise_are_sent_in_the_clear(address: str, plain: bool) -> None:
    required("" if find_spec("apprise") else "apprise is not installed")
    import apprise
    from podium.core.alerts.sinks.apprise_main import _in_the_open

    sender = apprise.Apprise()
    assert sender.add(address) and any(map(_in_the_open, sender)) is plain


def test_apprise_is_not_installed(telling: Callable[..., Told], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.core.alerts.sinks.apprise.find_spec", lambda _: None)
    told = telling('{apprise: "${CHAT}"}', CHAT="json://localhost")
    told.send()
    assert told.error == "sink one needs the package apprise"
    with pytest.raises(MissingExtra):
        send_test(told.project, "one")


def test_an_alertmanager(telling: Callable[..., Told], alertmanager: Alertmanager) -> None:
    told = telling(f'{{alertmanager: "{alertmanager.url}"}}')
    told.send()
    (alert,) = alertmanager.alerts()
    assert alert["labels"] == {
        "alertname": "errors-high",
        "project": "shop",
        "environment": "production",
        "monitor": "errors",
        "severity": "warning",
        "team": "web",
    }
    assert alert["annotations"]["summary"] == "50.0 % fail" and alert["annotations"]["threshold"] == "above 10 %"
    told.send()
    assert len(alertmanager.alerts()) == 1, "what is sent again changes nothing"
    told.measure(0.0, 10)
    told.send()
    assert alertmanager.alerts() == []


def test_an_alertmanager_that_forgot_is_told_again(telling: Callable[..., Told], alertmanager: Alertmanager) -> None:
    told = telling(f'{{alertmanager: "{alertmanager.url}"}}')
    now = [NOW]
    told.sender = Sender(lambda: now[0])
    told.send()
    alertmanager.stop()
    told.sender(told.project, told.journal)
    alertmanager.start()
    assert alertmanager.alerts() == []
    now[0] += 61
    told.sender(told.project, told.journal)
    assert [each["labels"]["alertname"] for each in alertmanager.alerts()] == ["errors-high"]


def test_an_alertmanager_hears_nothing_of_what_may_still_be_silenced(
    made: Callable[..., Project], alertmanager: Alertmanager
) -> None:
    """It is told each minute of all that fires; a silenced alert that has just begun waits for others."""
    config = made(f'{{alertmanager: "{alertmanager.url}"}}')
    with Journal.open(config.state / "journal.db") as journal:
        evaluate(config, journal, NOW)
        silence(config, journal, "errors-high", environment=False, seconds=3600.0, who="anna", why="load test")
        journal.measurements.add(measured(0.5))
        evaluate(config, journal, NOW)
        Sender()(config, journal)
        assert alertmanager.alerts() == []
        tell(config, journal, time.time())
        Sender()(config, journal)
        assert alertmanager.alerts() == [] and not journal.outbox.list()


def test_an_alertmanager_takes_the_end_after_a_clock_was_put_back(
    telling: Callable[..., Told], alertmanager: Alertmanager
) -> None:
    told = telling(f'{{alertmanager: "{alertmanager.url}"}}')
    told.send()
    assert alertmanager.alerts()
    told.measure(0.0, -3600)
    told.send()
    assert alertmanager.alerts() == [] and sinks(told.project, told.journal)[0].failed == 0


def test_what_an_alertmanager_refuses_is_given_up(
    telling: Callable[..., Told], alertmanager: Alertmanager, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = telling(f'{{alertmanager: "{alertmanager.url}"}}')
    monkeypatch.setattr("podium.core.alerts.sinks.alertmanager.alert", lambda *_: {"labels": {"0-wrong": "x"}})
    told.send()
    (status,) = sinks(told.project, told.journal)
    assert status.failed == 1 and "answered 400" in status.error


def test_a_bearer_token_for_an_alertmanager(telling: Callable[..., Told], web: Taken) -> None:
    told = telling('{alertmanager: "${URL}", token: "${TOKEN}"}', URL=f"{web.url}/prefix/", TOKEN=SECRET)
    told.send()
    path, headers, _ = web.requests[-1]
    assert (path, headers["authorization"]) == ("/prefix/api/v2/alerts", f"Bearer {SECRET}")


def test_a_test_message(made: Callable[..., Project], web: Taken) -> None:
    send_test(made(f'{{webhook: "{web.url}"}}'), "one")
    (message,) = web.messages
    assert message["test"] is True and message["changes"][0]["message"].startswith("This is a test")
    with pytest.raises(NotFound):
        send_test(made("{terminal: bell}"), "two")
    with pytest.raises(UsageError):
        send_test(made("{terminal: bell}"), "one")
    web.answer = 401
    with pytest.raises(PodiumError, match="answered 401"):
        send_test(made(f'{{webhook: "{web.url}"}}'), "one")


def test_no_secret_is_in_the_journal(telling: Callable[..., Told]) -> None:
    told = telling('{webhook: "${URL}", key: "${KEY}"}', URL=f"http://127.0.0.1:{free_port()}/{SECRET}", KEY=SECRET)
    told.send()
    told.journal.close()
    for path in told.project.state.glob("journal.db*"):
        assert SECRET.encode() not in path.read_bytes()
        assert base64.b64encode(SECRET.encode()) not in path.read_bytes()
    assert SECRET not in repr(told.project)
