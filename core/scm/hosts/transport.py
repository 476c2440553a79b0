"""Asks a Git host: conditional requests, pages, politeness, and a log of what was asked.

- What was answered before is asked for with `If-None-Match`: a 304 costs no body, and on GitHub nothing of the limit.
- Pages are followed by the header `Link`, on the same origin alone, up to a bound.
- When the host wants to be left alone, nothing is sent: HostBusy says when to ask again. Nothing here sleeps for more
  than MAX_WAIT.
- The token belongs to the host's origin (core/http_client.py). The one redirect to elsewhere that is followed, to where
  a job's log lies, is asked for by a client that has none.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol, cast
from urllib.parse import quote, urlencode, urljoin, urlsplit

from ...closing import Closing
from ...domain.frozen import Frozen
from ...domain.hosts import HostCall, RateLimit
from ...domain.text.format import duration
from ...errors import Refused, Unreachable
from ...http_client import Credentials, HttpClient, HttpResponse, Limits, Origin, Trust, origin_of
from ...version import VERSION
from .answers import MAX_BODY_BYTES, AnswerStore, KeptAnswer, MemoryStore
from .politeness import HostBusy, Politeness
from .words import Asking, is_page, limited, page, problem, said

Params = Mapping[str, str | int | None]
NONE: Params = {}
MAX_CALLS = 200
MAX_PAGES = 20
# A silence that short is waited for; a longer one is said.
MAX_WAIT = 1.0
MAX_REDIRECTS = 3
MAX_ELEMENTS = 10_000
# A log is at most what a pane can hold; a page of a list is a fraction of it.
LIMITS = Limits(
    connect_seconds=5.0,
    read_seconds=20.0,
    answer_seconds=60.0,
    answer_bytes=32 << 20,
    redirects=MAX_REDIRECTS,
    repeated=frozenset({502, 503, 504}),
)


class Proof(Protocol):
    """Proves to the host who asks."""

    @property
    def source(self) -> str:
        """Where the token is from, in words; empty if there is none. Never the token."""
        ...

    @property
    def unanswered(self) -> str:
        """Why no token was found where there may be one, in words; empty if there is one, or nothing to say."""
        ...

    @property
    def mark(self) -> int:
        """Returns another number once the token is another one."""
        ...

    def credentials(self) -> Credentials | None:
        """Returns what proves it now; may ask the host for a new one."""
        ...

    def refused(self, skew: float | None) -> bool:
        """Takes note that the host did not accept it; returns whether another one is worth a try."""
        ...


class Dialect(Frozen):
    """What differs between hosts on the wire."""

    headers: Mapping[str, str]
    page_size: tuple[str, int]
    """The parameter that says how many entries a page has, and the most that the host gives."""
    setting: str
    """How to give a token, as a hint."""


class HostTransport(Closing):
    """Talks to one host's API at `url`. Not for use by several threads at once. All of its methods raise Unreachable
    (HostBusy among it), Refused and NotFound, as `GitHost` says."""

    def __init__(
        self,
        url: str,
        *,
        host: str,
        dialect: Dialect,
        proof: Proof,
        store: AnswerStore | None = None,
        limits: Limits = LIMITS,
        trust: Trust | None = None,
        politeness: Politeness | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.host = host
        self.proof = proof
        self._dialect, self._limits, self._trust = dialect, limits, trust
        self._store = MemoryStore() if store is None else store
        self._politeness = Politeness() if politeness is None else politeness
        self._calls: deque[HostCall] = deque(maxlen=MAX_CALLS)
        headers = {"User-Agent": f"podium/{VERSION}", "Accept": "application/json", **dialect.headers}
        self._client = HttpClient(
            self.url, subject="the Git host", hint=_HINT, limits=limits, headers=headers, trust=trust
        )

    def close(self) -> None:
        self._client.close()

    @property
    def rate(self) -> RateLimit:
        return self._politeness.rate

    @property
    def setting(self) -> str:
        """Returns how to give a token, as a hint, and what kept one from being found."""
        why = self.proof.unanswered
        return f"{why}; correct that, or {self._dialect.setting}" if why else self._dialect.setting

    @property
    def skew(self) -> float | None:
        """Returns the seconds that the host's clock is ahead of this machine's; None while it is not known."""
        return self._politeness.skew

    @property
    def calls(self) -> Sequence[HostCall]:
        return tuple(self._calls)

    # -- asking
    # ----------------------------------------------------------------------------------------------------------------

    def get(self, path: str, what: str, *, needs: str = "", params: Params = NONE) -> Any:
        """Returns the JSON that lies at `path`. `what` names it in errors, `needs` is the right that it takes."""
        return self._read(_address(path, params), what, needs)[0]

    def pages(
        self, path: str, what: str, *, key: str = "", needs: str = "", limit: int = 100, params: Params = NONE
    ) -> list[dict[str, Any]]:
        """Returns the objects of a list, page after page, at most `limit`. `key` is where the list is, if it is not
        the answer itself."""
        return list(self._entries(path, what, key, needs, min(limit, MAX_ELEMENTS), params))

    def send(
        self,
        method: str,
        path: str,
        what: str,
        body: Mapping[str, Any] | None = None,
        *,
        needs: str = "",
        repeat: bool = False,
    ) -> dict[str, Any]:
        """Changes something; returns the object that is answered, {} for none. Fields of `body` that are None are not
        sent. `repeat` says that it may be sent twice."""
        asking = self._asking(what, needs)
        given = None if body is None else {name: value for name, value in body.items() if value is not None}
        answer = self._ask(method, path, asking, repeat=repeat, json=given)
        if not answer.good:
            raise problem(answer, asking)
        if is_page(answer):
            raise page(asking)
        found = answer.document()
        return {} if found is None else found

    def content(self, path: str, what: str, *, needs: str = "", accept: str = "*/*", params: Params = NONE) -> bytes:
        """Returns a file as it is."""
        asking = self._asking(what, needs)
        answer = self._kept(_address(path, params), asking, accept=accept)
        if not answer.good:
            raise problem(answer, asking)
        return answer.body

    def piece(self, path: str, what: str, *, offset: int = 0, needs: str = "") -> HttpResponse:
        """Returns what lies at `path` from a byte on: status 206, 416 where there is no more, and 200 where the host
        gives all of it whatever was asked. Redirects to a place outside of the host are followed, without
        credentials."""
        asking = self._asking(what, needs)
        headers = {"Accept": "*/*", **({"Range": f"bytes={offset}-"} if offset else {})}
        answer = self._ask("GET", path, asking, headers=headers)
        if 300 <= answer.status < 400:
            answer = self._elsewhere(answer, path, headers, asking)
        if not answer.good and answer.status != 416:
            raise problem(answer, asking)
        if "html" in answer.headers.get("content-type", "").lower():
            raise page(asking)
        return answer

    def header(self, path: str, what: str, name: str, *, needs: str = "") -> str:
        """Returns one header of the answer: some hosts say there what a token may do."""
        asking = self._asking(what, needs)
        answer = self._ask("GET", path, asking)
        if not answer.good:
            raise problem(answer, asking)
        return answer.headers.get(name, "")

    # -- reading
    # ----------------------------------------------------------------------------------------------------------------

    def _entries(
        self, path: str, what: str, key: str, needs: str, limit: int, params: Params
    ) -> Iterator[dict[str, Any]]:
        name, most = self._dialect.page_size
        address, left = _address(path, {**params, name: min(limit, most)}), limit
        for _ in range(MAX_PAGES):
            found, link = self._read(address, what, needs)
            for entry in _objects(found, key)[:left]:
                left -= 1
                yield entry
            address = self._next(link)
            if not address or left <= 0:
                return

    def _next(self, link: str) -> str:
        """Returns the address of the next page, if it is on this host."""
        address = next_page(link)
        found = urljoin(f"{self.url}/", address) if address else ""
        return found if found and origin_of(found) == self._client.origin else ""

    def _read(self, address: str, what: str, needs: str) -> tuple[Any, str]:
        """Returns the JSON at an address, and its header `Link`."""
        asking = self._asking(what, needs)
        answer = self._kept(address, asking)
        if not answer.good:
            raise problem(answer, asking)
        if is_page(answer):
            raise page(asking)
        try:
            return json.loads(answer.body or b"null"), answer.headers.get("link", "")
        except (ValueError, RecursionError):
            raise Unreachable(
                f"{self.host} answered with something unreadable instead of {what}",
                hint="is git.host.url the address of that host, and nothing between that changes its answers?",
            ) from None

    def _kept(self, address: str, asking: Asking, *, accept: str = "") -> HttpResponse:
        """Returns what lies at an address, by what was kept of it if it has not changed."""
        key = f"{self.url} {accept} {address}"
        kept = self._store.get(key)
        headers = {"Accept": accept} if accept else {}
        answer = self._ask("GET", address, asking, headers={**headers, **_conditions(kept)})
        if answer.status == 304 and kept is not None:
            return HttpResponse(200, {"link": kept.link, "content-type": kept.kind}, kept.body)
        etag, modified = answer.headers.get("etag", ""), answer.headers.get("last-modified", "")
        if answer.status == 200 and (etag or modified) and len(answer.body) <= MAX_BODY_BYTES:
            link, kind = answer.headers.get("link", ""), answer.headers.get("content-type", "")
            self._store.put(key, KeptAnswer(etag, modified, answer.body, link, kind))
        return answer

    # -- one request
    # ----------------------------------------------------------------------------------------------------------------

    def _ask(
        self, method: str, path: str, asking: Asking, *, repeat: bool | None = None, **options: Any
    ) -> HttpResponse:
        """Sends a request, once more if a renewed token may be accepted; returns the answer. HostBusy if the host
        wants to be left alone, before or after."""
        self._be_patient(asking)
        self._client.use(self.proof.credentials())
        answer = self._logged(method, path, repeat=repeat, **options)
        if answer.status == 401 and self.proof.refused(self.skew):
            self._client.use(self.proof.credentials())
            answer = self._logged(method, path, repeat=repeat, **options)
        if limited(answer):
            raise self._busy(asking, said(answer))
        return answer

    def _logged(self, method: str, path: str, **options: Any) -> HttpResponse:
        begun, at, status = time.monotonic(), time.time(), 0
        try:
            answer = self._client.ask(method, path, **options)
            status = answer.status
        except Unreachable:
            self._politeness.failed()
            raise
        finally:
            self._note(at, method, path, status, time.monotonic() - begun)
        self._politeness.answered(answer.status, answer.headers, limited=limited(answer))
        return answer

    def _note(self, at: float, method: str, path: str, status: int, seconds: float) -> None:
        base = urlsplit(self.url)
        shown = path.removeprefix(f"{base.scheme}://{base.netloc}").removeprefix(base.path)
        self._calls.append(HostCall(at, method, shown[:500], status, seconds, status == 304))

    def _be_patient(self, asking: Asking) -> None:
        wait = self._politeness.wait()
        if wait > MAX_WAIT:
            raise self._busy(asking, "")
        if wait > 0:
            time.sleep(wait)

    def _busy(self, asking: Asking, words: str) -> HostBusy:
        rate = self.rate
        spent = rate.remaining == 0 and rate.limit
        why = f"its limit of {rate.limit} requests is used up" if spent else words or "it did not answer, or too slowly"
        wait = duration(self._politeness.wait())
        return HostBusy(
            f"{self.host} is left alone for {wait}: {why} ({asking.what} was not read)",
            not_before=rate.not_before,
            hint=f"ask again in {wait}",
        )

    def _asking(self, what: str, needs: str) -> Asking:
        proof = self.proof
        return Asking(self.host, what, proof.source, needs, self._dialect.setting, proof.unanswered)

    # -- places outside of the host
    # ----------------------------------------------------------------------------------------------------------------

    def _elsewhere(self, answer: HttpResponse, path: str, headers: Mapping[str, str], asking: Asking) -> HttpResponse:
        """Follows a redirect to where a log lies, by a client without credentials. Refused for a place that this
        host has no business to name."""
        at = urljoin(f"{self.url}/", path.lstrip("/"))
        for _ in range(MAX_REDIRECTS):
            at = _target(at, answer)
            if not at or not self._may_lead(origin_of(at)):
                raise problem(answer, asking)
            limits = replace(self._limits, redirects=0)
            with HttpClient(_root(at), subject="the log's place", limits=limits, headers=headers) as client:
                answer = self._fetched(client, at)
            if not 300 <= answer.status < 400:
                return answer
        raise Refused(f"{self.host} leads in circles for {asking.what}", hint="look at the host")

    def _fetched(self, client: HttpClient, at: str) -> HttpResponse:
        begun, now, status = time.monotonic(), time.time(), 0
        try:
            answer = client.ask("GET", at)
            status = answer.status
            return answer
        finally:  # without the query, which is a signature
            self._calls.append(HostCall(now, "GET", at.partition("?")[0][:500], status, time.monotonic() - begun))

    def _may_lead(self, other: Origin) -> bool:
        """Whether a redirect may lead there: with TLS anywhere but to this machine, without only within the host's
        own machine."""
        own = self._client.origin
        if other.loopback != own.loopback:
            return False
        return other.scheme == "https" or (
            other.scheme == "http" and own.scheme == "http" and (other.loopback or other.host == own.host)
        )


_HINT = "is git.host.url right, the network up, and a certificate of an own authority known (docs/hosts.md)?"


def next_page(link: str) -> str:
    """Returns the address with `rel="next"` of a header `Link`; empty if there is none."""
    for part in link[:8000].split(","):
        address, _, rest = part.strip().partition(">")
        relations = [each.strip().lower() for each in rest.split(";")]
        if address.startswith("<") and ('rel="next"' in relations or "rel=next" in relations):
            return address[1:]
    return ""


def part(text: str) -> str:
    """Returns a name as one part of an address."""
    return quote(text, safe="")


def _address(path: str, params: Params) -> str:
    given = {name: value for name, value in params.items() if value not in (None, "")}
    return f"{path}{'&' if '?' in path else '?'}{urlencode(given)}" if given else path


def _conditions(kept: KeptAnswer | None) -> dict[str, str]:
    if kept is None:
        return {}
    return {"If-None-Match": kept.etag} if kept.etag else {"If-Modified-Since": kept.modified}


def _objects(found: Any, key: str) -> list[dict[str, Any]]:
    """Returns the objects of a list, or of the list below `key`; whatever else stands there is left out."""
    held: Any = cast("dict[str, Any]", found).get(key) if key and isinstance(found, dict) else found
    if not isinstance(held, list):
        return []
    return [cast("dict[str, Any]", each) for each in cast("list[Any]", held) if isinstance(each, dict)]


def _target(at: str, answer: HttpResponse) -> str:
    """Returns where a redirect leads, without a name or password in it; empty if it cannot be understood."""
    with suppress(ValueError):
        found = urljoin(at, answer.headers.get("location", ""))
        return found if found != at and "@" not in urlsplit(found).netloc else ""
    return ""


def _root(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
