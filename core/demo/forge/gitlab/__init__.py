"""GitLab's REST API v4. A project is named by its number or as `owner%2Fname`."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from ..dialect import Call, Delivery, Dialect, Services, page_of
from ..exchange import Answer, ApiError, Page, Request, text_answer
from ..model import Hook, Repo
from ..routing import Route, Router
from ..state import Event
from . import code, events, pipelines, results, reviews

_READ = frozenset({"api", "read_api"})
_GRAPE = (" is missing", " is empty", " does not have a valid value")


class GitLab(Dialect):
    kind = "gitlab"
    prefixes = ("/api/v4",)
    hidden_refs = ("refs/merge-requests", "refs/pipelines")
    head_ref = "refs/merge-requests/{}/head"
    router = Router((*code.ROUTES, *reviews.ROUTES, *results.ROUTES, *pipelines.ROUTES))
    all_scopes = frozenset({"api", "read_repository", "write_repository"})
    page_size = 20

    def token_of(self, request: Request) -> str:
        for name in ("private-token", "job-token"):
            if request.headers.get(name):
                return request.headers[name]
        words = request.headers.get("authorization", "").split()
        return words[-1] if words else request.query.get("private_token", "")

    def repo_of(self, call: Call) -> Repo | None:
        wanted = call.args["project"]
        repos = call.state.repos
        if wanted.isdigit():
            return next((repo for repo in repos.values() if repo.id == int(wanted)), None)
        return next((repo for name, repo in repos.items() if name.lower() == wanted.lower()), None)

    def scopes_for(self, route: Route, reading: bool) -> frozenset[str]:
        if route.scope == "none":
            return frozenset()
        if route.scope == "user":
            return _READ | {"read_user"}
        return _READ if reading else frozenset({"api"})

    def git_scopes(self, pushing: bool) -> frozenset[str]:
        writing = frozenset({"api", "write_repository"})
        return writing if pushing else writing | {"read_repository"}

    def no_token(self) -> ApiError:
        return ApiError(401)

    def missing_scope(self, wanted: frozenset[str]) -> ApiError:
        return ApiError(403, "insufficient_scope", errors=sorted(wanted))

    def exceeded(self, seconds: float, login: str) -> ApiError:
        return ApiError(429, headers={"Retry-After": str(int(seconds) + 1)})

    def failed(self, error: ApiError) -> Answer:
        if error.status == 429:
            answer = text_answer("Retry later\n", 429)
            answer.headers.update(error.headers)
            return answer
        return Answer(error.status, _failure(error), headers=dict(error.headers))

    def page(self, call: Call, page: Page) -> Answer:
        number, size = page_of(call.query, self.page_size, self.max_page_size)
        total = len(page.items)
        last = max(1, -(-total // size))
        answer = Answer(200, page.render(page.items[(number - 1) * size : number * size]))
        following = str(number + 1) if number < last else ""
        before = str(number - 1) if number > 1 else ""
        answer.headers = {
            "X-Page": str(number),
            "X-Per-Page": str(size),
            "X-Next-Page": following,
            "X-Prev-Page": before,
        }
        if total <= 10_000 and not call.request.path.endswith("/commits"):
            answer.headers |= {"X-Total": str(total), "X-Total-Pages": str(last)}
        links = {"prev": before, "next": following, "first": "1", "last": str(last)}
        answer.headers["Link"] = ", ".join(
            f'<{_address(call, page, size)}>; rel="{rel}"' for rel, page in links.items() if page
        )
        return answer

    def deliveries(self, services: Services, event: Event) -> Iterable[Delivery]:
        return events.deliveries(services, event)

    def wants(self, hook: Hook, delivery: Delivery) -> bool:
        return not hook.events or bool({delivery.event, delivery.document["object_kind"]} & {*hook.events})

    def signed(self, hook: Hook, delivery: Delivery, body: bytes, number: str) -> Mapping[str, str]:
        """Sends the secret itself, or where it is a signing token (`whsec_…`) a signature in its newer form."""
        headers = {
            "User-Agent": "GitLab/18.6.0",
            "X-Gitlab-Event": delivery.event,
            "X-Gitlab-Event-UUID": number,
            "X-Gitlab-Webhook-UUID": str(hook.id),
            "Idempotency-Key": number,
        }
        if hook.secret.startswith("whsec_"):
            at = str(events.now())
            key = base64.b64decode(hook.secret.removeprefix("whsec_"))
            signature = hmac.new(key, f"{number}.{at}.".encode() + body, hashlib.sha256).digest()
            signed = f"v1,{base64.b64encode(signature).decode()}"
            return {**headers, "webhook-id": number, "webhook-timestamp": at, "webhook-signature": signed}
        return {**headers, "X-Gitlab-Token": hook.secret} if hook.secret else headers


def _failure(error: ApiError) -> dict[str, Any]:
    if error.message == "insufficient_scope":
        said = "The request requires higher privileges than provided by the access token."
        return {"error": "insufficient_scope", "error_description": said, "scope": " ".join(error.errors)}
    if error.message == "Problems parsing JSON" or error.message.endswith(_GRAPE):
        return {"error": error.message}
    if error.errors:
        return {"message": error.errors[0]}
    words = {401: "401 Unauthorized", 403: "403 Forbidden", 404: "404 Not Found"}
    plain = error.message in ("", "Not Found", "Forbidden", "Requires authentication")
    return {"message": words.get(error.status, str(error.status)) if plain else error.message}


def _address(call: Call, page: str, size: int) -> str:
    return f"{call.links.web}{call.request.path}?{urlencode({**call.query, 'page': page, 'per_page': size})}"
