"""How a Git host is asked: conditional, page by page, politely, with its errors in words, and its token kept."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from podium.core.errors import NotFound, PodiumError, Refused, Unreachable
from podium.core.http_client import Credentials
from podium.core.scm.hosts.answers import KeptAnswer, MemoryStore
from podium.core.scm.hosts.politeness import HostBusy, Politeness
from podium.core.scm.hosts.transport import LIMITS, MAX_PAGES, Dialect, HostTransport, next_page

from tests.scm.hosts.conftest import TOKEN, Asked, Web, said
from tests.scm.hosts.fixed import FixedProof

DIALECT = Dialect({}, ("per_page", 2), "set GITHUB_TOKEN")
QUICK = replace(LIMITS, read_seconds=2.0, retry_pauses=(0.0, 0.0))
NOW = 1_700_000_000.0
THEN = "Tue, 14 Nov 2023 22:13:20 GMT"  # the same moment


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(clock: Clock) -> Iterator[Callable[..., HostTransport]]:
    made: list[HostTransport] = []

    def start(
        web: Web, *, prefix: str = "", source: str = "the variable GITHUB_TOKEN", **options: Any
    ) -> HostTransport:
        url = f"{web.url}{prefix}"
        proof = FixedProof(Credentials.bearer(url, TOKEN) if source else None, source)
        options = {"limits": QUICK, "politeness": Politeness(clock, lambda: 0.0), **options}
        made.append(HostTransport(url, host="127.0.0.1", dialect=DIALECT, proof=proof, **options))
        return made[-1]

    yield start
    for each in made:
        each.close()


# -- conditional requests
# --------------------------------------------------------------------------------------------------------------------


def test_what_has_not_changed_is_not_sent_again(web, opened) -> None:
    host = web()
    host.reply = lambda asked: (
        (304, {"ETag": '"a"'}, b"") if asked.headers.get("if-none-match") == '"a"' else said({"n": 1}, ETag='"a"')
    )
    client = opened(host)
    assert client.get("/x", "x") == client.get("/x", "x") == {"n": 1}
    assert [call.cached for call in client.calls] == [False, True]


def test_an_answer_with_a_date_is_asked_for_by_it(web, opened) -> None:
    host = web()
    host.answers(said([1], Last_Modified=THEN), (304, {}, b""))
    client = opened(host)
    assert client.get("/x", "x") == client.get("/x", "x") == [1]
    assert host.asked[1].headers["if-modified-since"] == THEN


def test_kept_pages_lead_on_to_the_next(web, opened) -> None:
    host = web()

    def reply(asked: Asked) -> Any:
        if "if-none-match" in asked.headers:
            return 304, {}, b""
        if "?page=2" in asked.target:
            return said([{"n": 2}], ETag='"2"')
        return said([{"n": 1}], ETag='"1"', Link=f'<{host.url}/x?page=2>; rel="next"')

    host.reply = reply
    client = opened(host)
    assert client.pages("/x", "x") == client.pages("/x", "x") == [{"n": 1}, {"n": 2}]
    assert [call.cached for call in client.calls] == [False, False, True, True]


def test_the_store_keeps_what_was_used_last() -> None:
    store = MemoryStore(max_bytes=10, max_answers=3)
    for name in "abc":
        store.put(name, KeptAnswer(name, "", b"1234"))
    assert store.get("a") is None and store.get("b") is not None and store.size == 8
    store.put("d", KeptAnswer("d", "", b"1"))
    store.put("b", KeptAnswer("b2", "", b"12"))
    store.put("e", KeptAnswer("e", "", b""))
    assert store.get("c") is None and store.get("b") == KeptAnswer("b2", "", b"12") and store.size == 3
    store.put("huge", KeptAnswer("h", "", b"1" * 11))
    assert store.get("huge") is None and store.size == 3


# -- pages
# --------------------------------------------------------------------------------------------------------------------


def test_pages_are_read_until_there_is_enough(web, opened) -> None:
    host = web()
    host.reply = lambda asked: said([{"n": 1}, {"n": 2}], Link=f'<{host.url}/x?page=9>; rel="next"')
    assert len(opened(host).pages("/x", "x", limit=3)) == 3
    assert len(host.asked) == 2 and "per_page=2" in host.asked[0].target


def test_pages_without_an_end_end(web, opened) -> None:
    host = web()
    host.reply = lambda asked: said([{"n": 1}], Link=f'<{host.url}/x>; rel="next"')
    assert len(opened(host).pages("/x", "x", limit=10_000)) == MAX_PAGES


def test_the_last_page_is_the_last(web, opened) -> None:
    host = web()
    host.answers(said([{"n": 1}], Link=f'<{host.url}/x?page=1>; rel="first", <{host.url}/x?page=1>; rel="last"'))
    assert opened(host).pages("/x", "x") == [{"n": 1}] and len(host.asked) == 1


def test_a_next_page_elsewhere_is_not_asked_for(web, opened) -> None:
    host, other = web(), web()
    host.answers(said([{"n": 1}], Link=f'<{other.url}/x>; rel="next"'))
    assert opened(host).pages("/x", "x") == [{"n": 1}]
    assert not other.asked


@pytest.mark.parametrize(
    ("link", "next_"),
    [
        ('<https://h/a?page=2>; rel="next", <https://h/a?page=9>; rel="last"', "https://h/a?page=2"),
        ('<https://h/a?page=1>; rel="prev"', ""),
        ("<https://h/a>; rel=next", "https://h/a"),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_the_header_link_is_read(link: str, next_: str) -> None:
    assert next_page(link) == next_


def test_a_list_of_something_else_is_empty(web, opened) -> None:
    host = web()
    client = opened(host)
    for answer in ({"message": "no list"}, [1, None, "x"], "text", None):
        host.answers(said(answer))
        assert client.pages("/x", "x", key="runs") == [] == client.pages("/x", "x")


# -- politeness
# --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "30"}, 30.0),
        (429, {"Retry-After": "Tue, 14 Nov 2023 22:14:20 GMT", "Date": THEN}, 60.0),
        # The host's clock is an hour ahead: its dates count by it.
        (429, {"Retry-After": "Tue, 14 Nov 2023 23:14:20 GMT", "Date": "Tue, 14 Nov 2023 23:13:20 GMT"}, 60.0),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Limit": "60", "X-RateLimit-Reset": "1700000090"}, 90.0),
        (429, {"RateLimit-Remaining": "0", "RateLimit-Limit": "60", "RateLimit-Reset": "45"}, 45.0),
        (429, {}, 60.0),
        (503, {"Retry-After": "20"}, 20.0),
        (429, {"Retry-After": "999999999"}, 3600.0),
        (429, {"Retry-After": "soon"}, 60.0),
    ],
)
def test_a_host_that_wants_silence_gets_it(web, opened, clock, status, headers, seconds) -> None:
    host = web()
    host.answers(said({"message": "API rate limit exceeded"}, status, **headers))
    client = opened(host, limits=replace(QUICK, retry_pauses=()))
    with pytest.raises(Unreachable):
        client.get("/x", "x")
    assert client.rate.not_before == NOW + seconds
    with pytest.raises(HostBusy, match="left alone") as raised:
        client.get("/x", "the CI runs")
    assert raised.value.not_before == NOW + seconds and len(host.asked) == 1
    clock.now += seconds
    host.answers(said({"well": True}))
    assert client.get("/x", "x") == {"well": True} and client.rate.not_before == 0.0


def test_a_secondary_limit_comes_as_a_refusal(web, opened) -> None:
    host = web()
    host.answers(said({"message": "You have exceeded a secondary rate limit."}, 403))
    with pytest.raises(HostBusy, match="secondary rate limit") as raised:
        opened(host).get("/x", "x")
    assert raised.value.not_before == NOW + 60.0 and "ask again in" in raised.value.hint


def test_too_many_requests_are_not_repeated_at_once(web, opened) -> None:
    host = web()
    host.answers(said({}, 429))
    with pytest.raises(HostBusy):
        opened(host).get("/x", "x")
    assert len(host.asked) == 1


def test_a_used_up_limit_is_waited_for_before_it_is_refused(web, opened) -> None:
    host = web()
    host.answers(said({}, X_RateLimit_Remaining="0", X_RateLimit_Limit="60", X_RateLimit_Reset="1700000300"))
    client = opened(host)
    client.get("/x", "x")
    assert (client.rate.limit, client.rate.remaining, client.rate.resets) == (60, 0, NOW + 300)
    with pytest.raises(HostBusy, match="its limit of 60 requests is used up"):
        client.get("/x", "x")
    assert len(host.asked) == 1


def test_pauses_grow_while_it_fails_and_end_when_it_answers(web, opened, clock) -> None:
    host = web()
    host.answers(said({}, 500))
    client = opened(host)
    pauses = []
    for _ in range(12):
        with pytest.raises(Unreachable):
            client.get("/x", "x")
        pauses.append(client.rate.not_before - clock.now)
        clock.now = client.rate.not_before
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0] and pauses[-1] == 300.0
    host.answers(said({"well": True}))
    client.get("/x", "x")
    assert client.rate.not_before == 0.0


def test_the_interval_between_polls_is_known(web, opened) -> None:
    host = web()
    host.answers(said([], X_Poll_Interval="60"), said([]))
    client = opened(host)
    client.get("/x", "x")
    client.get("/x", "x")
    assert client.rate.poll_interval == 60.0


def test_the_difference_of_clocks_is_known(web, opened) -> None:
    host = web()
    host.answers(said([], Date="Tue, 14 Nov 2023 22:23:20 GMT"), said([], Date="yesterday"))
    client = opened(host)
    assert client.skew is None
    client.get("/x", "x")
    client.get("/x", "x")
    assert client.skew == 600.0


# -- errors in words
# --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "document", "headers", "kind", "message", "hint"),
    [
        (401, {"message": "Bad credentials"}, {}, Refused, r"does not accept the token from the variable GITHUB_TOKEN \(401\): Bad cred", "Actions: write"),
        (403, {"message": "Resource not accessible"}, {}, Refused, r"refuses the run \(403\): Resource not acc", "the token from the variable GITHUB_TOKEN needs: Actions: write"),
        (403, {"message": "No"}, {"X-Accepted-GitHub-Permissions": "actions=write"}, Refused, "refuses", "needs: actions=write"),
        (403, {"message": "SSO"}, {"X-GitHub-SSO": "required; url=https://x"}, Refused, "refuses", "single sign-on"),
        (404, {"message": "Not Found"}, {}, NotFound, "has not got the run", "hide what a token may not see"),
        (409, {"message": "Cannot cancel a finished run"}, {}, Refused, "Cannot cancel a finished run", "changed since"),
        (422, {"message": "Validation Failed", "errors": [{"message": "sha is wrong"}, {"field": "state", "code": "invalid"}]}, {}, Refused, "Validation Failed; sha is wrong, field state, code invalid", ""),
        (400, {"message": {"state": ["is invalid"]}}, {}, Refused, "state is invalid", ""),
        (400, {"error": "state does not have a valid value"}, {}, Refused, "state does not have", ""),
        (500, {"message": "oops"}, {}, Unreachable, r"failed \(500\) at the run: oops", "later"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_and_why(web, opened, status, document, headers, kind, message, hint) -> None:
    host = web()
    host.answers(said(document, status, **headers))
    with pytest.raises(kind, match=message) as raised:
        opened(host).get("/x", "the run", needs="Actions: write")
    assert hint in raised.value.hint


def test_without_a_token_a_refusal_says_how_to_give_one(web, opened) -> None:
    host = web()
    host.answers(said({"message": "Requires authentication"}, 401), said({}, 404))
    client = opened(host, source="")
    with pytest.raises(Refused, match="wants a token for the run, and there is none") as raised:
        client.get("/x", "the run")
    assert raised.value.hint == "set GITHUB_TOKEN"
    with pytest.raises(NotFound) as raised:
        client.get("/x", "the run")
    assert "private needs a token" in raised.value.hint
    assert "authorization" not in host.asked[0].headers


@pytest.mark.parametrize("status", [200, 403, 404])
def test_a_login_page_is_not_taken_for_an_answer(web, opened, status: int) -> None:
    host = web()
    host.answers((status, {"Content-Type": "text/html; charset=utf-8"}, b"<!DOCTYPE html><title>Sign in</title>"))
    client = opened(host)
    for ask in (lambda: client.get("/x", "x"), lambda: client.send("POST", "/x", "x", {})):
        with pytest.raises(Unreachable, match="a web page instead of x"):
            ask()


def test_something_unreadable_is_said(web, opened) -> None:
    host = web()
    host.answers((200, {"Content-Type": "application/json"}, b'{"cut": '))
    with pytest.raises(Unreachable, match="something unreadable instead of the run"):
        opened(host).get("/x", "the run")


def test_the_hosts_words_are_harmless(web, opened) -> None:
    host = web()
    host.answers(said({"message": f"bad \x1b[31m\r\ntoken {TOKEN} \u202e" + "x" * 5000}, 422))
    with pytest.raises(Refused) as raised:
        opened(host).get("/x", "x")
    assert TOKEN not in raised.value.message and len(raised.value.message) < 500
    assert raised.value.message.isprintable()


def test_too_large_an_answer_is_refused(web, opened) -> None:
    host = web()
    host.answers((200, {}, b"1" * (2 << 20)))
    with pytest.raises(Unreachable, match="more than 1 MiB"):
        opened(host, limits=replace(QUICK, answer_bytes=1 << 20)).get("/x", "x")


def test_a_dropped_connection_is_tried_again_for_reading_only(web, opened) -> None:
    host = web()
    host.answers(None, said({"well": True}))  # type: ignore[arg-type]
    client = opened(host)
    assert client.get("/x", "x") == {"well": True}
    host.answers(None, said({}))  # type: ignore[arg-type]
    with pytest.raises(Unreachable):
        client.send("POST", "/x", "x", {})
    assert [each.method for each in host.asked] == ["GET", "GET", "POST"]
    assert client.calls[-1].status == 0


def test_a_slow_answer_is_given_up(web, opened) -> None:
    host = web()
    import threading

    ended = threading.Event()
    host.reply = lambda asked: (ended.wait(20), said({}))[1]
    client = opened(host, limits=replace(QUICK, read_seconds=0.2, retry_pauses=()))
    with pytest.raises(Unreachable, match="does not answer in time"):
        client.get("/x", "x")
    ended.set()


# -- the token
# --------------------------------------------------------------------------------------------------------------------


def test_redirects_on_the_host_are_followed(web, opened) -> None:
    host = web()
    host.reply = lambda asked: (
        (301, {"Location": "/repositories/1"}, b"") if asked.path == "/x" else said({"well": True})
    )
    assert opened(host).get("/x", "x") == {"well": True}
    assert host.asked[1].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_redirect_elsewhere_carries_no_token_and_is_followed_for_logs_alone(web, opened) -> None:
    host, storage = web(), web()
    host.answers((302, {"Location": f"{storage.url}/blob?sig=abc"}, b""))
    storage.answers((206, {"Content-Type": "text/plain"}, b"line\n"))
    client = opened(host)
    with pytest.raises(Refused, match="nothing was asked there"):
        client.get("/x", "x")
    assert not storage.asked
    assert client.piece("/x", "the log", offset=3).body == b"line\n"
    assert "authorization" not in storage.asked[0].headers and storage.asked[0].headers["range"] == "bytes=3-"
    assert client.calls[-1].path == f"{storage.url}/blob", "the signature is not kept"


@pytest.mark.parametrize(
    "location",
    [
        "http://198.51.100.7/log",  # no TLS, another machine
        "https://198.51.100.7/log",  # a host on this machine has no business there
        "ftp://127.0.0.1/log",
        "file:///etc/passwd",
        "http://anna:secret@127.0.0.1/log",
        "http://[nonsense",
        "",
    ],
)
def test_a_log_is_not_fetched_from_just_anywhere(web, opened, location: str) -> None:
    host = web()
    host.answers((302, {"Location": location}, b""))
    with pytest.raises(PodiumError):
        opened(host).piece("/x", "the log")
    assert len(host.asked) == 1


def test_the_place_of_a_log_may_not_be_this_machine() -> None:
    proof = FixedProof()
    client = HostTransport("https://api.example.com", host="example.com", dialect=DIALECT, proof=proof)
    from podium.core.http_client import origin_of

    allowed = {
        url: client._may_lead(origin_of(url))
        for url in (
            "https://storage.example.net/x",
            "http://storage.example.net/x",
            "http://api.example.com/x",
            "https://127.0.0.1/x",
            "http://localhost/x",
        )
    }
    assert [url for url, may in allowed.items() if may] == ["https://storage.example.net/x"]


def test_circles_of_redirects_end(web, opened) -> None:
    host, storage = web(), web()
    host.answers((302, {"Location": f"{storage.url}/a"}, b""))
    storage.reply = lambda asked: (302, {"Location": f"{storage.url}{asked.path}a"}, b"")
    with pytest.raises(Refused, match="circles"):
        opened(host).piece("/x", "the log")
    assert len(storage.asked) <= 4


def test_the_token_is_shown_nowhere(web, opened) -> None:
    host = web()
    host.answers(said({"message": f"no: {TOKEN}"}, 401))
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    client = opened(host)
    try:
        with pytest.raises(Refused) as raised:
            client.get("/x", "x")
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger().setLevel(level)
    shown = [repr(raised.value), raised.value.message, raised.value.hint, repr(client.calls), repr(client.proof)]
    shown += [repr(client.proof.credentials()), stream.getvalue(), repr(client.__dict__)]
    assert host.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert not [each for each in shown if TOKEN in each]


def test_the_log_of_calls_is_bounded_and_says_what_was_asked(web, opened) -> None:
    host = web()
    client = opened(host, prefix="/api/v3")
    client.get("/x", "x", params={"page": 2})
    call = client.calls[-1]
    assert (call.method, call.path, call.status) == ("GET", "/x?page=2", 200)
    for _ in range(210):
        client._note(0.0, "GET", "/", 200, 0.0)
    assert len(client.calls) == 200
