"""How an API call becomes an answer, whatever the host: who asks, what they may, the limit, the page, the ETag."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ...domain.frozen import Frozen
from .ci import Ci
from .exchange import Answer, ApiError, Page, Request
from .links import Links
from .model import Hook, Pull, Repo, Token, User
from .rates import Rates
from .reviews import Reviews
from .routing import Route, Router
from .state import Event, State

_READING = ("GET", "HEAD")


@dataclass(slots=True, eq=False)
class Services:
    """What all calls share."""

    state: State
    ci: Ci
    reviews: Reviews
    rates: Rates
    links: Links
    options: Options


@dataclass(slots=True, eq=False)
class Options:
    """What differs between hosts of a kind, or between their versions. A test may change it at any time."""

    trace_ranges: bool = True
    """Whether GitLab answers a part of a trace that is asked for with Range."""
    approved_jobs_start: bool = False
    """Whether a job at GitLab starts by itself once its deployment is approved."""
    rerun: bool = False
    """Whether Gitea can re-run and cancel, which only its newest versions can."""
    poll_interval: int = 60
    """Seconds that GitHub asks for in X-Poll-Interval."""


@dataclass(slots=True, eq=False)
class Call:
    """One call of the API, while it is answered. The state's lock is held."""

    services: Services
    request: Request
    args: Mapping[str, str]
    token: Token | None
    repository: Repo | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """Of the answer, besides those that all have."""

    @property
    def state(self) -> State:
        return self.services.state

    @property
    def links(self) -> Links:
        return self.services.links

    @property
    def ci(self) -> Ci:
        return self.services.ci

    @property
    def repo(self) -> Repo:
        if self.repository is None:
            raise ApiError(404, "Not Found")
        return self.repository

    @property
    def user(self) -> User:
        if self.token is None:
            raise ApiError(401, "Requires authentication")
        return self.token.user

    @property
    def fields(self) -> dict[str, Any]:
        return self.request.fields()

    @property
    def query(self) -> dict[str, str]:
        return self.request.query

    def text(self, name: str, default: str = "") -> str:
        """Returns a field of the body as text."""
        value = self.fields.get(name)
        return default if value is None else str(value)

    def number(self, name: str) -> int:
        """Returns a number of the path."""
        value = self.args[name]
        if not value.isdigit():
            raise ApiError(404, "Not Found")
        return int(value)

    def one_of(self, items: Mapping[int, Any], name: str) -> Any:
        """Returns what the number of the path names. Raises ApiError (404) if there is none."""
        found = items.get(self.number(name))
        if found is None:
            raise ApiError(404, "Not Found")
        return found

    def commit_of(self, name: str) -> str:
        """Returns the commit that a branch, tag or sha means. Raises ApiError (404) if there is none."""
        found = self.repo.bare.resolve(name)
        if not found:
            raise ApiError(404, "Not Found")
        return found

    def pull(self, name: str = "number") -> Pull:
        return self.one_of(self.repo.pulls, name)


class Delivery(Frozen):
    """What a webhook says: the event's name at the host, and the document."""

    event: str
    document: Mapping[str, Any]


class Dialect:
    """One host's API. Subclasses say in which words."""

    kind: ClassVar[str]
    prefixes: ClassVar[tuple[str, ...]]
    """Of the paths of the API; the first one is used in links."""
    hidden_refs: ClassVar[tuple[str, ...]]
    head_ref: ClassVar[str]
    router: ClassVar[Router]
    all_scopes: ClassVar[frozenset[str]]
    etags: ClassVar[bool] = True
    free_304: ClassVar[bool] = False
    """Whether an answer 304 is not counted against the limit."""
    page_size: ClassVar[int] = 30
    max_page_size: ClassVar[int] = 100
    anonymous_git: ClassVar[str] = "Basic"

    # -- what differs

    def token_of(self, request: Request) -> str:
        """Returns the token of a request; empty if it has none."""
        raise NotImplementedError

    def repo_of(self, call: Call) -> Repo | None:
        """Returns the repository of the path, whether or not the caller may see it."""
        raise NotImplementedError

    def scopes_for(self, route: Route, reading: bool) -> frozenset[str]:
        """Returns the scopes of which a token needs one; none when empty."""
        raise NotImplementedError

    def git_scopes(self, pushing: bool) -> frozenset[str]:
        raise NotImplementedError

    def failed(self, error: ApiError) -> Answer:
        """Gives an error the host's form."""
        raise NotImplementedError

    def page(self, call: Call, page: Page) -> Answer:
        raise NotImplementedError

    def headers(self, call: Call, route: Route | None) -> Mapping[str, str]:
        """Returns what every answer has."""
        return {}

    def no_token(self) -> ApiError:
        return ApiError(401, "Bad credentials")

    def missing_scope(self, wanted: frozenset[str]) -> ApiError:
        raise NotImplementedError

    def exceeded(self, seconds: float, login: str) -> ApiError:
        """Says that the limit is used up for so many seconds."""
        raise NotImplementedError

    def deliveries(self, services: Services, event: Event) -> Iterable[Delivery]:
        """Returns what webhooks are told about an event."""
        raise NotImplementedError

    def wants(self, hook: Hook, delivery: Delivery) -> bool:
        return not hook.events or delivery.event in hook.events

    def signed(self, hook: Hook, delivery: Delivery, body: bytes, number: str) -> Mapping[str, str]:
        """Returns the headers of a webhook."""
        raise NotImplementedError

    # -- one call

    def api_path(self, path: str) -> str | None:
        """Returns the path below the API; None if it is none of the API."""
        for prefix in self.prefixes:
            if path == prefix or path.startswith(f"{prefix}/"):
                return path[len(prefix) :] or "/"
        return None

    def answer(self, services: Services, request: Request, path: str, token: Token | None, tried: bool) -> Answer:
        """Answers one call. `tried` says that a token was sent, valid or not."""
        route, args = self.router.find(request.method, path)
        call = Call(services, request, args, token)
        bucket = services.rates.bucket(token.user.login if token else "")
        try:
            if bucket.remaining() <= 0:
                raise self.exceeded(bucket.seconds_left(), token.user.login if token else "")
            if tried and token is None and not (route and route.scope == "app"):
                raise self.no_token()
            answer = self._carried_out(call, route)
        except ApiError as error:
            answer = self.failed(error)
        answer.headers = {**self.headers(call, route), **call.headers, **answer.headers}
        cached = self._cached(request, answer)
        if not (cached and self.free_304):
            bucket.use()
        answer.headers.update(bucket.headers())
        return answer

    def _carried_out(self, call: Call, route: Route | None) -> Answer:
        if route is None:
            raise ApiError(404, "Not Found")
        with call.state.lock:
            self._admit(call, route)
            found = route.answer(call)
            if isinstance(found, Page):
                return self.page(call, found)
            return found if isinstance(found, Answer) else Answer(200, found)

    def _admit(self, call: Call, route: Route) -> None:
        """Finds the repository. Raises ApiError where the caller may not do what was asked."""
        reading = call.request.method in _READING
        wanted = self.scopes_for(route, reading)
        if call.token is not None and not call.token.app and wanted and not wanted & call.token.scopes:
            raise self.missing_scope(wanted)
        if route.scope == "app" or not {"repo", "project"} & call.args.keys():
            return
        repo = self.repo_of(call)
        if repo is None or not call.state.sees(call.token, repo):
            raise ApiError(404, "Not Found")
        if not reading and call.token is None:
            raise ApiError(401, "Requires authentication")
        if not reading and not call.state.writes(call.token, repo) and route.scope != "issue":
            raise ApiError(403, "Forbidden")
        call.repository = repo
        call.state.notice_pushes(repo, call.state.user(repo.owner))

    def _cached(self, request: Request, answer: Answer) -> bool:
        """Gives an answer its ETag. True if the caller has it already, so that it becomes 304."""
        if not self.etags or request.method not in _READING or answer.status != 200 or answer.files is not None:
            return False
        tag = f'W/"{hashlib.sha256(answer.payload()).hexdigest()}"'
        answer.headers["ETag"] = tag
        known = [word.strip().removeprefix("W/") for word in request.headers.get("if-none-match", "").split(",")]
        if tag.removeprefix("W/") not in known:
            return False
        answer.status, answer.content = 304, b""
        return True


def page_of(query: Mapping[str, str], size: int, most: int, name: str = "per_page") -> tuple[int, int]:
    """Returns (page, size) as asked for, within bounds."""
    page, wanted = query.get("page", ""), query.get(name, "")
    return max(1, int(page) if page.isdigit() else 1), min(
        most, int(wanted) if wanted.isdigit() and int(wanted) else size
    )


def checked_fields(fields: Mapping[str, Any], rules: Mapping[str, Callable[[Any], bool]]) -> list[str]:
    """Returns the names of the fields that are there and break their rule."""
    return [name for name, rule in rules.items() if fields.get(name) is not None and not rule(fields[name])]
