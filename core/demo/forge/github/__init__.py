"""GitHub's REST API, as an enterprise server has it: below `/api/v3`, and at the root as well, like api.github.com."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from ..dialect import Call, Delivery, Dialect, Services, page_of
from ..exchange import Answer, ApiError, Page, Request
from ..model import Hook, Repo
from ..routing import Route, Router
from ..state import Event
from . import actions, apps, code, events, results, reviews

_DOCS = "https://docs.github.com/rest"
_REPO = frozenset({"repo"})
_SCOPES = {
    "status": _REPO | {"repo:status"},
    "deployment": _REPO | {"repo_deployment"},
    "hooks": _REPO | {"admin:repo_hook", "write:repo_hook"},
    "user": frozenset[str](),
    "app": frozenset[str](),
    "none": frozenset[str](),
}


class GitHub(Dialect):
    kind = "github"
    prefixes = ("/api/v3", "")
    hidden_refs = ("refs/pull",)
    head_ref = "refs/pull/{}/head"
    router = Router((*code.ROUTES, *reviews.ROUTES, *results.ROUTES, *actions.ROUTES, *apps.ROUTES))
    all_scopes = frozenset({"repo", "workflow", "read:org"})
    free_304 = True

    def token_of(self, request: Request) -> str:
        words = request.headers.get("authorization", "").split()
        return words[1] if len(words) == 2 and words[0].lower() in ("bearer", "token") else " ".join(words)

    def repo_of(self, call: Call) -> Repo | None:
        wanted = f"{call.args['owner']}/{call.args['repo']}".lower()
        return next((repo for name, repo in call.state.repos.items() if name.lower() == wanted), None)

    def scopes_for(self, route: Route, reading: bool) -> frozenset[str]:
        return _SCOPES.get(route.scope, _REPO)

    def git_scopes(self, pushing: bool) -> frozenset[str]:
        return _REPO

    def missing_scope(self, wanted: frozenset[str]) -> ApiError:
        return ApiError(403, "Resource not accessible by personal access token")

    def exceeded(self, seconds: float, login: str) -> ApiError:
        return ApiError(403, f"API rate limit exceeded for {login or 'your address'}.")

    def failed(self, error: ApiError) -> Answer:
        messages = {422: "Validation Failed", 404: "Not Found"}
        document: dict[str, Any] = {"message": error.message or messages.get(error.status, "")}
        if error.errors:
            document["errors"] = error.errors
        document.update(documentation_url=_DOCS, status=str(error.status))
        return Answer(error.status, document, headers=dict(error.headers))

    def headers(self, call: Call, route: Route | None) -> Mapping[str, str]:
        common = {
            "X-GitHub-Request-Id": secrets.token_hex(8).upper(),
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-RateLimit-Resource": "core",
            "Cache-Control": "private, max-age=60, s-maxage=60",
            "Vary": "Accept, Authorization, Cookie, X-GitHub-OTP",
        }
        if call.token is not None and not call.token.app:
            common["X-OAuth-Scopes"] = ", ".join(sorted(call.token.scopes))
            common["X-Accepted-OAuth-Scopes"] = ", ".join(sorted(self.scopes_for(route, True))) if route else ""
        return common

    def page(self, call: Call, page: Page) -> Answer:
        number, size = page_of(call.query, self.page_size, self.max_page_size)
        total = len(page.items)
        rendered: Any = page.render(page.items[(number - 1) * size : number * size])
        if page.wrap:
            rendered = {"total_count": total, page.wrap: rendered}
        last = max(1, -(-total // size))
        links = {"next": number + 1, "last": last} if number < last else {}
        links |= {"first": 1, "prev": min(number - 1, last)} if number > 1 else {}
        answer = Answer(200, rendered)
        if links:
            answer.headers["Link"] = ", ".join(f'<{_address(call, page)}>; rel="{rel}"' for rel, page in links.items())
        return answer

    def deliveries(self, services: Services, event: Event) -> Iterable[Delivery]:
        return events.deliveries(services, event)

    def wants(self, hook: Hook, delivery: Delivery) -> bool:
        return not hook.events or "*" in hook.events or delivery.event in hook.events

    def signed(self, hook: Hook, delivery: Delivery, body: bytes, number: str) -> Mapping[str, str]:
        headers = {
            "User-Agent": "GitHub-Hookshot/forge",
            "X-GitHub-Event": delivery.event,
            "X-GitHub-Delivery": number,
            "X-GitHub-Hook-ID": str(hook.id),
        }
        if hook.secret:
            for name, method in (("X-Hub-Signature", "sha1"), ("X-Hub-Signature-256", "sha256")):
                headers[name] = f"{method}={hmac.new(hook.secret.encode(), body, getattr(hashlib, method)).hexdigest()}"
        return headers


def _address(call: Call, page: int) -> str:
    """Returns the address of another page of the same list."""
    from urllib.parse import urlencode

    query = {**call.query, "page": str(page)}
    path = call.request.path.removeprefix("/api/v3")
    return f"{call.links.api}{path}?{urlencode(query)}"
