"""What HAProxy holds off by itself, and how it says so: the bounds of a request, and its own answers in the form of a
replica's errors. Manual: https://docs.haproxy.org/2.8/configuration.html."""

from __future__ import annotations

from ...domain.project import RequestBounds
from .front import answer, told

_TOO_MUCH = "REQUEST_LIMIT_EXCEEDED"
# Requests up to this size can be sent again to another replica when the first dies on them (http-buffer-request has
# HAProxy wait for the whole of them before it sends anything, without which it does not repeat them); larger ones only
# while no connection was made.
_BUFFER_BYTES = 65_536
SENT_ON_BYTES = 48 * 1024
"""Bodies that are sent on to another replica where one fails: with their headers they have to fit into a buffer."""
# What a request's head may be: so many fields, so many bytes of them, and of its target. HAProxy parses more than that
# (up to a buffer, and `_PARSED_FIELDS`), because what it cannot parse gets a text of its own that no directive changes.
_FIELDS = 100
_FIELD_BYTES = 32_768
_TARGET_BYTES = 8_192
_PARSED_FIELDS = 1_000
_CLIENT_SECONDS = 120  # of silence, before the connection of a client that should read or send is closed
# A replica answers by itself when a prediction takes too long; the proxy waits this much longer for that.
_ANSWER_GRACE = 10.0

GLOBAL_LINES = f"""  maxconn 4000
  tune.bufsize {_BUFFER_BYTES}
  tune.http.maxhdr {_PARSED_FIELDS}
"""


def default_lines(request: RequestBounds) -> str:
    """Returns the times of the section `defaults`."""
    return f"""  mode http
  timeout connect 2s
  timeout client {_CLIENT_SECONDS}s
  timeout server {_milliseconds(request.prediction + _ANSWER_GRACE)}
  timeout queue 10s
  timeout http-request {_milliseconds(request.headers)}
  timeout http-keep-alive 60s
  timeout check 5s
  option idle-close-on-response
  option http-ignore-probes
  option redispatch 1
"""


def error_lines(request: RequestBounds) -> str:
    """Returns the directives for what HAProxy itself answers, in the form of a replica's errors."""
    late = f"its headers have {request.headers:g} s to arrive, and the rest {request.arrival:g} s"
    waited = request.prediction + _ANSWER_GRACE
    found = {
        400: ("BAD_REQUEST", "This is not a request in HTTP."),
        408: ("DEADLINE_EXCEEDED", f"The request did not arrive in time: {late}."),
        413: (_TOO_MUCH, f"The request is too large: at most {request.body} bytes are accepted."),
        500: ("INTERNAL_ERROR", "The proxy failed."),
        502: ("INTERNAL_ERROR", "The replica ended, or answered something that is not HTTP."),
        503: ("TEMPORARILY_UNAVAILABLE", "No replica can take the request now."),
        504: ("DEADLINE_EXCEEDED", f"The replica did not answer within {waited:g} s."),
    }
    return "".join(
        f"  http-error status {status} content-type application/json string '{told(code, message)}'\n"
        for status, (code, message) in found.items()
    )


def request_lines(request: RequestBounds) -> str:
    """Returns the rules by which a request is refused before a replica sees it. That it has arrived is waited for up
    to the size of a buffer; of a larger one the replica waits for the rest."""
    target = answer(414, _TOO_MUCH, f"The address is too long: at most {_TARGET_BYTES} bytes are accepted.")
    fields = answer(431, _TOO_MUCH, f"There are too many headers: at most {_FIELDS} are accepted.")
    head = answer(431, _TOO_MUCH, f"The headers are too large: at most {_FIELD_BYTES} bytes are accepted.")
    return f"""  http-request {target} if {{ url,length gt {_TARGET_BYTES} }}
  http-request {fields} if {{ req.fhdr_cnt gt {_FIELDS} }}
  http-request {head} if {{ req.hdrs,length gt {_FIELD_BYTES} }}
  http-request deny status 413 default-errorfiles if {{ req.hdr_val(content-length) gt {request.body} }}
  http-request wait-for-body time {_milliseconds(request.arrival)} at-least {request.body + 1}
  http-request deny status 413 default-errorfiles if {{ req.body_size gt {request.body} }}
"""


def _milliseconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
