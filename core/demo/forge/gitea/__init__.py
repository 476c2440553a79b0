"""Gitea's REST API v1, which Forgejo has too."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from ..dialect import Call, Delivery, Dialect, Services, page_of
from ..exchange import Answer, ApiError, Page, Request
from ..model import Hook, Repo
from ..routing import Route, Router
from ..state import Event
from . import actions, code, events, results, reviews

_CATEGORIES = {"issue": "issue", "user": "user", "none": ""}


class Gitea(Dialect):
    kind = "gitea"
    prefixes = ("/api/v1",)
    hidden_refs = ("refs/pull",)
    head_ref = "refs/pull/{}/head"
    router = Router((*code.ROUTES, *reviews.ROUTES, *results.ROUTES, *actions.ROUTES))
    all_scopes = frozenset({"write:repository", "write:issue", "read:user"})
    etags = False
    max_page_size = 50

    def token_of(self, request: Request) -> str:
        words = request.headers.get("authorization", "").split()
        query = request.query
        return words[-1] if words else query.get("token", "") or query.get("access_token", "")

    def repo_of(self, call: Call) -> Repo | None:
        wanted = f"{call.args['owner']}/{call.args['repo']}".lower()
        return next((repo for name, repo in call.state.repos.items() if name.lower() == wanted), None)

    def scopes_for(self, route: Route, reading: bool) -> frozenset[str]:
        category = _CATEGORIES.get(route.scope, "repository")
        if not category:
            return frozenset()
        return frozenset({"all", f"write:{category}"} | ({f"read:{category}"} if reading else set[str]()))

    def git_scopes(self, pushing: bool) -> frozenset[str]:
        return frozenset({"all", "write:repository"} | (set[str]() if pushing else {"read:repository"}))

    def no_token(self) -> ApiError:
        return ApiError(401, "invalid username, password or token")

    def missing_scope(self, wanted: frozenset[str]) -> ApiError:
        names = ",".join(sorted(wanted - {"all"})[:1])
        return ApiError(403, f"token does not have at least one of required scope(s), required=[{names}], token scope=")

    def exceeded(self, seconds: float, login: str) -> ApiError:
        return ApiError(429, "Too Many Requests", headers={"Retry-After": str(int(seconds) + 1)})

    def failed(self, error: ApiError) -> Answer:
        words = {401: "token is required", 403: "Forbidden"}
        plain = error.message in ("", "Not Found", "Requires authentication")
        found = "The target couldn't be found." if error.status == 404 and plain else ""
        message = found or (words.get(error.status, error.message) if plain else error.message)
        document: dict[str, Any] = {"message": message, "url": "http://127.0.0.1/api/swagger"}
        if error.status == 404:
            document["errors"] = error.errors or None
        return Answer(error.status, document, headers=dict(error.headers))

    def page(self, call: Call, page: Page) -> Answer:
        number, size = page_of(call.query, self.page_size, self.max_page_size, "limit")
        total = len(page.items)
        last = max(1, -(-total // size))
        rendered: Any = page.render(page.items[(number - 1) * size : number * size])
        answer = Answer(200, {"total_count": total, page.wrap: rendered} if page.wrap else rendered)
        answer.headers["X-Total-Count"] = str(total)
        links = {"next": number + 1, "last": last} if number < last else {}
        links |= {"first": 1, "prev": min(number - 1, last)} if number > 1 else {}
        if links:
            parts = (f'<{_address(call, page, size)}>; rel="{rel}"' for rel, page in links.items())
            answer.headers["Link"] = ",".join(parts)
        return answer

    def deliveries(self, services: Services, event: Event) -> Iterable[Delivery]:
        return events.deliveries(services, event)

    def signed(self, hook: Hook, delivery: Delivery, body: bytes, number: str) -> Mapping[str, str]:
        """Signs as Gitea does, which also sends the headers of GitHub and Gogs."""
        key = hook.secret.encode()
        signature = hmac.new(key, body, hashlib.sha256).hexdigest() if hook.secret else ""
        sha1 = hmac.new(key, body, hashlib.sha1).hexdigest() if hook.secret else ""
        headers = {"X-Hub-Signature": f"sha1={sha1}", "X-Hub-Signature-256": f"sha256={signature}"}
        for brand in ("Gitea", "Gogs"):
            headers |= {f"X-{brand}-Event": delivery.event, f"X-{brand}-Event-Type": delivery.event}
            headers |= {f"X-{brand}-Delivery": number, f"X-{brand}-Signature": signature}
        return {**headers, "X-GitHub-Event": delivery.event, "X-GitHub-Delivery": number}


def _address(call: Call, page: int, size: int) -> str:
    return f"{call.links.web}{call.request.path}?{urlencode({**call.query, 'page': page, 'limit': size})}"
