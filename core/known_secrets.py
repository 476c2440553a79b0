"""Remembers what this process holds as a credential, so that no error of it says one: `PodiumError` hides them in its
words. What a project's steps print is masked by `core/logs/masking.py`, with the secrets of the project."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping

MASK = "***"
# Variables that Podium or a step takes credentials from, whether podium.yaml says so or not.
CREDENTIALS = frozenset(
    {
        "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "DATABRICKS_TOKEN",
        "GITHUB_TOKEN", "GH_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN",
        "GITLAB_TOKEN", "GITLAB_ACCESS_TOKEN", "OAUTH_TOKEN", "CI_JOB_TOKEN", "GITEA_TOKEN",
        "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_CONNECTION_STRING",
        "AZURE_CLIENT_SECRET",
    }
)  # fmt: skip
# A colon and digits before the path are a port, and what follows up to an @ no password.
_PASSWORD = re.compile(r"://[^/?#@\s:]*:([^/?#\s]+)@")
_LOOSE_PASSWORD = re.compile(r"://[^/?#@\s:]*:(?![0-9]{1,5}(?:[/?#]|$))(\S+)@")
_TOKEN = re.compile(r"://([^/?#@\s:]{12,})@")
_MOST = 256
_LONGEST = 20_000


def in_address(text: str) -> Iterator[str]:
    """Yields the passwords in an address, as written and decoded: also of one whose password holds `/`, `?` or `#` and
    is no address to any program. A long user name without a password is a token."""
    if "@" not in text:
        return
    from urllib.parse import unquote

    for pattern in (_PASSWORD, _LOOSE_PASSWORD, _TOKEN):
        for match in pattern.finditer(text):
            yield from dict.fromkeys((match[1], unquote(match[1])))


def in_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """Yields the credentials that steps, or Podium itself, take from these variables: those of `CREDENTIALS`, and
    passwords in the addresses of proxies and of MLflow."""
    for name, value in environ.items():
        if name in CREDENTIALS and value.strip():
            yield value
        elif "@" in value and (name.lower().endswith("_proxy") or name.startswith("MLFLOW_")):
            yield from in_address(value)


class KnownSecrets:
    """What one process holds; the last 256 are known."""

    def __init__(self) -> None:
        # Each with its pattern, which is made when a text is first looked through.
        self._patterns: OrderedDict[str, re.Pattern[bytes] | None] = OrderedDict()

    def remember(self, *secrets: str) -> None:
        """Has these hidden in all errors from now on."""
        for secret in secrets:
            if secret in self._patterns:
                self._patterns.move_to_end(secret)
            elif secret.strip() and len(secret) < _LONGEST:
                self._patterns[secret] = None
                if len(self._patterns) > _MOST:
                    self._patterns.popitem(last=False)

    def hidden(self, text: str) -> str:
        """Returns a text with what is remembered as `***`."""
        if not self._patterns or not text:
            return text
        from .secret_forms import octets

        data = octets(text)
        for secret in tuple(self._patterns):
            data = self._pattern(secret).sub(MASK.encode(), data)
        return data.decode("utf-8", "surrogateescape")

    def forget(self) -> None:
        """Forgets all of them."""
        self._patterns.clear()

    def _pattern(self, secret: str) -> re.Pattern[bytes]:
        from .secret_forms import forms

        made = self._patterns.get(secret)
        if made is None:
            found = sorted(set(forms(secret)), key=len, reverse=True)
            made = re.compile(b"|".join(map(re.escape, found)) or b"(?!)")
            if secret in self._patterns:
                self._patterns[secret] = made
        return made


known = KnownSecrets()
