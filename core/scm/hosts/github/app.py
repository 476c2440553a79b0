"""A GitHub App as who asks: a signed claim is exchanged for the token of an installation, which lasts an hour and is
renewed before its end."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ....domain.project import HostApp
from ....errors import MissingExtra, Unreachable, UsageError
from ....http_client import Credentials, HttpClient, Limits
from ....version import VERSION
from ..reading import as_document, exact, moment
from ..tokens import read_secret
from ..trust import trust_of
from ..words import Asking, problem

# GitHub takes no claim that is good for more than ten minutes, nor one from the future.
CLAIM_SECONDS = 540
CLAIM_BACK = 60
RENEW_BEFORE = 300.0
_LIMITS = Limits(connect_seconds=5.0, read_seconds=15.0, answer_seconds=30.0, answer_bytes=1 << 20)
_EXTRA = "pip install 'podium[github-app]'"


class AppProof:
    """Has the token of one installation of an App, and renews it. The key is read each time, never kept."""

    def __init__(self, app: HostApp, api: str, home: Path, clock: Callable[[], float] = time.time) -> None:
        self.source = f"the GitHub App {app.id}"
        self._app, self._api, self._home, self._clock = app, api, home, clock
        self._token: Credentials | None = None
        self._ends = 0.0
        self._skew = 0.0
        self._tries = 0
        self.mark = 0
        self.unanswered = ""

    def credentials(self) -> Credentials | None:
        if self._token is None or self._clock() > self._ends - RENEW_BEFORE:
            self._renew()
        return self._token

    def refused(self, skew: float | None) -> bool:
        """Gives a token up that was revoked before its end; a second one that is refused is not the first one's
        fault."""
        again = self._token is not None and self._tries == 0
        self._token, self._skew = None, skew or 0.0
        self._tries += 1
        return again

    def login(self) -> str:
        """Asks for the name under which the App writes."""
        return f"{exact(self._claimed('GET', '/app', 'the name of the App'), 'slug')}[bot]"

    def _renew(self) -> None:
        path = f"/app/installations/{self._app.installation}/access_tokens"
        found = self._claimed("POST", path, "a token for the App")
        token = exact(found, "token")
        if not token:
            raise Unreachable("GitHub gave no token to the App", hint="look at git.host.app in podium.yaml")
        self._token = Credentials.bearer(self._api, token)
        self._ends = (moment(found, "expires_at") or self._clock() + self._skew + 3600.0) - self._skew
        self._tries = 0
        self.mark += 1

    def _claimed(self, method: str, path: str, what: str) -> dict[str, Any]:
        """Returns the answer to the claim, which is signed once more by the host's clock if ours was wrong."""
        host = self._api.partition("://")[2].partition("/")[0]
        asking = Asking(host, what, self.source, "the App's id, installation and key", _EXTRA)
        headers = {"Accept": "application/vnd.github+json", "User-Agent": f"podium/{VERSION}"}
        trust = trust_of(self._api, self._home)
        with HttpClient(self._api, subject="the Git host", limits=_LIMITS, headers=headers, trust=trust) as client:
            for last in (False, True):
                client.use(Credentials.bearer(self._api, self._claim()))
                answer = client.ask(method, path)
                if answer.good:
                    return as_document(answer.document())
                if last or answer.status != 401 or not self._clock_was_wrong(answer.headers.get("date", "")):
                    raise problem(answer, asking)
        raise AssertionError("the loop ends with an answer or an error")

    def _clock_was_wrong(self, date: str) -> bool:
        from email.utils import parsedate_to_datetime

        try:
            skew = parsedate_to_datetime(date).timestamp() - self._clock()
        except (ValueError, TypeError):
            return False
        wrong = abs(skew - self._skew) > CLAIM_BACK / 2
        self._skew = skew
        return wrong

    def _claim(self) -> str:
        now = int(self._clock() + self._skew)
        claims = {"iat": now - CLAIM_BACK, "exp": now + CLAIM_SECONDS, "iss": self._app.id}
        return signed(claims, read_secret(self._app.key_file, self._home).encode(), self._app.key_file)


def signed(claims: dict[str, Any], key: bytes, name: str) -> str:
    """Returns a JSON Web Token (RS256). UsageError for a key that is none, MissingExtra without cryptography."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise MissingExtra("a GitHub App signs with the package cryptography", hint=_EXTRA) from error
    try:
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, RSAPrivateKey):
        raise UsageError(f"{name} holds no private RSA key without a password", hint="download one from the App's page")
    head = _encoded(json.dumps({"alg": "RS256", "typ": "JWT"}).encode())
    text = f"{head}.{_encoded(json.dumps(claims).encode())}"
    return f"{text}.{_encoded(private.sign(text.encode(), PKCS1v15(), SHA256()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
