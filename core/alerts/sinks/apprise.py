"""Apprise: Slack, mail, Teams, ntfy and a hundred more, by one address (https://github.com/caronc/apprise).

It runs in a process of its own: the library loads much, and bounds the time of each of its calls in its own way.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec

from ...domain.project import Sink
from ...domain.text import one_line
from ...errors import MissingExtra, Refused, RunFailed
from ...logs.masking import masked
from . import Notice
from .apprise_main import PLAIN

_TYPES = {"firing": "warning", "resolved": "success"}
# Parts of an address that are as long as this may be a secret each.
_PART = re.compile(r"[^/:@?&=,\s]{5,}")


def send(sink: Sink, notice: Notice) -> None:
    """Sends a message. Raises MissingExtra without the library, Refused for an address that would go in the clear to
    another machine, and RunFailed where it could not send."""
    if find_spec("apprise") is None:
        raise MissingExtra(f"sink {sink.name} needs the package apprise", hint="pip install 'podium[apprise]'")
    asked = {
        "url": sink.address,
        "title": one_line(notice.title),
        "body": notice.text,
        "type": _TYPES.get(str(notice.body["status"]), "info"),
    }
    command = [sys.executable, "-P", "-m", "podium.core.alerts.sinks.apprise_main"]
    try:
        done = subprocess.run(command, input=json.dumps(asked).encode(), capture_output=True, timeout=sink.timeout)
    except subprocess.TimeoutExpired:
        raise RunFailed(f"sink {sink.name}: apprise did not send within {sink.timeout:g} s") from None
    except OSError as error:
        raise RunFailed(f"sink {sink.name}: apprise cannot be started: {error.strerror or error}") from error
    if done.returncode == PLAIN:
        raise Refused(
            f"sink {sink.name}: its address is not sent: without encryption everybody on the way reads it",
            hint="use the scheme with TLS, such as jsons:// or mailtos://, or a tunnel that ends on 127.0.0.1",
        )
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        said = masked(lines[-1], (sink.address, *_PART.findall(sink.address))) if lines else "it did not say why"
        raise RunFailed(f"sink {sink.name}: apprise could not send: {one_line(said)}")
