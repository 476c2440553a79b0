"""What a Git host's refusal means, in Podium's words: an error that says what, why, and what to do. The host's own
message is quoted on one line and cut; nothing in it is followed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from ...domain.frozen import Frozen
from ...domain.text import one_line
from ...errors import NotFound, PodiumError, Refused, Unreachable
from ...http_client import HttpResponse, printable

MAX_WORDS = 300
_TOO_MANY = re.compile(r"rate limit|abuse detection|too many requests", re.IGNORECASE)
# What a token looks like, should a host repeat one.
_TOKENS = re.compile(r"\b(?:gh[a-z]_|github_pat_|gl[a-z]{2,6}-|Bearer\s+|token\s+)[A-Za-z0-9_.-]{12,}", re.IGNORECASE)


class NotAllowed(Refused):
    """The token may not do it (403)."""


class Asking(Frozen):
    """Who asks whom for what: the parts of an error's sentence."""

    host: str
    """The host's name, such as `github.com`."""
    what: str
    """What was asked for, such as `the CI run 12 of acme/flight-delay`."""
    source: str
    """Where the token is from, in words; empty without one."""
    needs: str
    """The scope or permission that the call needs, in the host's words."""
    setting: str
    """How to give a token, as a hint."""
    unanswered: str = ""
    """Why no token was found where there may be one, in words."""


def limited(answer: HttpResponse) -> bool:
    """Whether a refusal is one for too many requests: GitHub's secondary limits come as 403, too."""
    return answer.status == 429 or (answer.status == 403 and _TOO_MANY.search(said(answer)) is not None)


def is_page(answer: HttpResponse) -> bool:
    """Whether a web page was answered, where data should be."""
    return "html" in answer.headers.get("content-type", "").lower() or answer.body[:15].lstrip().lower().startswith(
        (b"<!doctype html", b"<html")
    )


def problem(answer: HttpResponse, asking: Asking) -> PodiumError:
    """Returns the error for an answer that is none of success."""
    if answer.status == 401:
        return _not_accepted(answer, asking)
    if is_page(answer) and answer.status < 500:
        return page(asking)
    words = said(answer)
    because = f": {words}" if words else ""
    if answer.status == 403:
        hint = f"{_sign_on(answer) or _needed(answer, asking)}"
        return NotAllowed(f"{asking.host} refuses {asking.what} (403){because}", hint=hint)
    if answer.status in (404, 410):
        why = f" without a token: {asking.unanswered}" if asking.unanswered else ""
        words = f"{asking.host} has not got {asking.what} (or does not show it{why}){because}"
        return NotFound(words, hint=_unseen(asking))
    if 300 <= answer.status < 400:
        return _moved(answer, asking)
    if answer.status >= 500:
        return Unreachable(
            f"{asking.host} failed ({answer.status}) at {asking.what}{because}", hint="try again later: its fault"
        )
    meaning = {409: "it is in the way of something else", 413: "it is too large", 422: "it does not accept it"}
    why = words or meaning.get(answer.status, f"status {answer.status}")
    return Refused(f"{asking.host} refuses {asking.what} ({answer.status}): {why}", hint=_rejected(answer.status))


def page(asking: Asking) -> Unreachable:
    return Unreachable(
        f"{asking.host} answered with a web page instead of {asking.what}: a sign-in, a proxy or another server",
        hint="is git.host.url right, and does its API answer without a browser?",
    )


def said(answer: HttpResponse) -> str:
    """Returns the host's own message, fit for one line; empty if there is none."""
    if is_page(answer):
        return ""
    try:
        found: Any = json.loads(answer.body or b"{}")
    except (ValueError, RecursionError):
        return harmless(answer.body[: 2 * MAX_WORDS].decode("utf-8", "replace"))
    if not isinstance(found, dict):
        return ""
    document = cast("Mapping[str, Any]", found)
    parts = [_flat(document.get(key)) for key in ("message", "error", "error_description", "errors")]
    return harmless("; ".join(dict.fromkeys(part for part in parts if part)))


def harmless(text: str) -> str:
    """Returns a host's words on one line, cut, without anything that looks like a token."""
    return printable(_TOKENS.sub("(a token)", one_line(text[: 4 * MAX_WORDS])), MAX_WORDS)


def _flat(value: Any, depth: int = 0) -> str:
    """Returns what hosts put into `message` and `errors`: a text, or lists and mappings of them."""
    if isinstance(value, dict) and depth < 3:
        fields = cast("dict[str, Any]", value)
        own = _flat(fields.get("message"), depth + 1)
        return own or ", ".join(f"{key} {_flat(each, depth + 1)}" for key, each in list(fields.items())[:6])
    if isinstance(value, list) and depth < 3:
        return ", ".join(_flat(each, depth + 1) for each in cast("list[Any]", value)[:6])
    return str(value) if isinstance(value, str | int | float) else ""


def _not_accepted(answer: HttpResponse, asking: Asking) -> Refused:
    words = said(answer)
    because = f": {words}" if words else ""
    if not asking.source:
        none = f"there is none ({asking.unanswered})" if asking.unanswered else "there is none"
        return Refused(f"{asking.host} wants a token for {asking.what}, and {none}{because}", hint=asking.setting)
    hint = f"is it expired or revoked? make a new one that may: {asking.needs}" if asking.needs else asking.setting
    return Refused(f"{asking.host} does not accept the token from {asking.source} (401){because}", hint=hint)


def _needed(answer: HttpResponse, asking: Asking) -> str:
    """Returns which right is missing: what the host says of it, else what the call is known to need."""
    theirs = answer.headers.get("x-accepted-github-permissions") or answer.headers.get("x-accepted-oauth-scopes") or ""
    needs = harmless(theirs) or asking.needs
    if not asking.source:
        return asking.setting
    return f"the token from {asking.source} needs: {needs}" if needs else f"look at the token from {asking.source}"


def _sign_on(answer: HttpResponse) -> str:
    if not answer.headers.get("x-github-sso", "").startswith("required"):
        return ""
    return "authorise the token for the organisation's single sign-on, in the host's settings of tokens"


def _unseen(asking: Asking) -> str:
    if not asking.source:
        return f"is git.host.repo right? what is private needs a token: {asking.setting}"
    needs = f", which needs: {asking.needs}" if asking.needs else ""
    return f"is it there? hosts hide what a token may not see, and this one is from {asking.source}{needs}"


def _moved(answer: HttpResponse, asking: Asking) -> PodiumError:
    where = answer.redirect() or "another place"
    return Refused(
        f"{asking.host} sends us for {asking.what} to {where}: nothing was asked there",
        hint="correct git.host.url and git.host.repo: a repository that was renamed or moved has a new address",
    )


def _rejected(status: int) -> str:
    if status == 405:  # GitLab's answer where a project was renamed
        return "correct git.host.repo: what was renamed can be read at its old address, and changed at its new one only"
    return "look at its state on the host: it may have changed since" if status == 409 else "look at what the host says"
