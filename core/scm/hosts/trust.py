"""Which authorities are believed at a Git host that has a certificate by one of its own: git's. Git and the host's API
are one server, so that what git has been told holds for both, and what the rest of the machine was told
(SSL_CERT_FILE) holds for git too."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ...errors import PodiumError
from ...http_client import Trust
from ..git import git

_TIMEOUT: Final = 5.0


def bundle_of(url: str, directory: Path) -> str:
    """Returns the file with the authorities for the server at `url`, by what git has for it, in its environment or its
    settings, else by SSL_CERT_FILE; empty where there is none, or no encryption. `directory` is the repository's."""
    if urlsplit(url).scheme != "https":
        return ""
    return os.environ.get("GIT_SSL_CAINFO") or _of_git(url, directory) or os.environ.get("SSL_CERT_FILE", "")


def trust_of(url: str, directory: Path) -> Trust:
    """Returns what a client of the server's API believes. A certificate is always checked, whatever git is told."""
    return Trust(bundle=bundle_of(url, directory))


def for_git(url: str, directory: Path) -> Mapping[str, str]:
    """Returns the variables that git needs to believe the same."""
    bundle = bundle_of(url, directory)
    return {"GIT_SSL_CAINFO": bundle} if bundle else {}


def _of_git(url: str, directory: Path) -> str:
    try:
        answer = git(directory, "config", "--type=path", "--get-urlmatch", "http.sslCAInfo", url, timeout=_TIMEOUT)
    except PodiumError:
        return ""
    return answer.text if answer.code == 0 else ""
