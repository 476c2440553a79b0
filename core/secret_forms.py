"""Yields every way in which a secret may stand in a text: as it is, encoded, escaped, quoted, or line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

# Inside of a longer text a secret is found from so many letters on: less would mask half of every log and hide nothing.
MIN_LENGTH = 4
# Of a secret with several lines, each line from so many letters on is one too: it may be printed indented.
MIN_LINE = 8
# Values that people give for a secret and that stand in every log: to mask them would destroy it.
_COMMON = frozenset(
    {
        "true", "false", "none", "null", "main", "master", "test", "tests", "prod",
        "production", "staging", "develop", "default", "podium", "docker", "python", "mlflow", "admin",
        "root", "user", "local", "localhost", "latest", "info", "warning", "error",
    }
)  # fmt: skip
_MIN_DIGITS = 6
_ARMOUR = re.compile(r"-{4,5} ?(BEGIN|END) [A-Z0-9 ]+-{4,5}")
_SECRET_KEY = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)
# How wide the usual programs print base64: coreutils and MIME, PEM.
_WIDTHS = (76, 64)
# What a shell's `printf %q` puts a backslash before: bash, and others that quote all but plain letters.
_BASH_SPECIAL = re.compile(r"""([\s'"\\|&;()<>!{}*\[\]?^$`,]|^[#~])""", re.ASCII)
_SHELL_SPECIAL = re.compile(r"([\x00-\x09\x0b-\x7f])(?<![A-Za-z0-9_./:=@%+,\-])")
_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_IN_DOUBLE_QUOTES = re.compile(r'([\\"$`])')


def maskable(secret: str) -> bool:
    """Tells whether a secret can be masked inside of a longer text: it is neither too short nor a word of every log."""
    plain = secret.strip()
    short = len(octets(plain)) < MIN_LENGTH
    return not short and plain.lower() not in _COMMON and not (plain.isdecimal() and len(plain) < _MIN_DIGITS)


def forms(secret: str) -> Iterator[bytes]:
    """Yields what to look for, which may repeat; nothing where the secret is not `maskable`."""
    plain = secret.strip()
    if not maskable(plain):
        return
    for text in dict.fromkeys((plain, *_variants(plain))):
        raw = octets(text)
        yield raw
        yield from _base64(raw)
        yield from (octets(one) for one in (*_in_addresses(raw), *_escaped(text), *_quoted(text)))
        yield from (raw.hex().encode(), raw.hex().upper().encode())


def _variants(plain: str) -> Iterator[str]:
    """Yields the other texts that give the secret away: its lines, it with the line ends of Windows, and the
    secret parts of a JSON document such as a service account's."""
    lines = [line.strip() for line in plain.splitlines()]
    if len(lines) > 1:
        yield "\r\n".join(plain.splitlines())
        yield from (line for line in lines if len(line) >= MIN_LINE and not _ARMOUR.fullmatch(line))
    if plain[0] == "{":
        yield from _leaves(plain)


def _leaves(plain: str) -> Iterator[str]:
    import json

    try:
        found = json.loads(plain)
    except (ValueError, RecursionError):
        return
    for key, value in cast("Mapping[str, Any]", found).items():
        if isinstance(value, str) and len(value.strip()) >= MIN_LINE and _SECRET_KEY.search(key):
            yield value.strip()
            if "\n" in value:
                yield from _variants(value.strip())


def octets(text: str) -> bytes:
    """Returns a text as the bytes that it was read from. Halves of letters that no bytes stand for, as JSON can bring
    them, are replaced by question marks."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return _HALVES.sub("?", text).encode("utf-8", "surrogateescape")


def _base64(raw: bytes) -> Iterator[bytes]:
    """Yields what of the secret's base64 does not depend on what is encoded before and after it, for each of the three
    places where it may begin in a group of three bytes."""
    import base64

    for before in range(3):
        code = base64.b64encode(bytes(before) + raw)
        sure = code[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        for one in (sure, sure.replace(b"+", b"-").replace(b"/", b"_")):
            if len(one) >= MIN_LENGTH:
                yield one
    whole = base64.b64encode(raw).rstrip(b"=")[: len(raw) * 8 // 6]
    for width in _WIDTHS:
        if len(whole) > width:
            rows = [whole[at : at + width] for at in range(0, len(whole), width)]
            yield b"\n".join(rows)
            yield from (row for row in rows if len(row) >= MIN_LINE)


def _in_addresses(raw: bytes) -> Iterator[str]:
    """Yields it as parts of addresses hold it: percent-encoded by Python, browsers and forms, in both cases of hex."""
    from urllib.parse import quote, quote_plus

    for safe in ("", "/", "!'()*", ";,/?:@&=+$!*'()#"):
        code = quote(raw, safe=safe)
        yield from (code, _lower_hex(code))
    yield from (quote_plus(raw), _lower_hex(quote_plus(raw)))


def _lower_hex(code: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), code)


def _escaped(text: str) -> Iterator[str]:
    """Yields it as texts inside of JSON (once and twice), Go's and PHP's JSON, Python and HTML hold it."""
    import html
    import json

    for ascii_only in (True, False):
        code = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        twice = json.dumps(code, ensure_ascii=ascii_only)[1:-1]
        yield from (code, twice, code.replace("/", "\\/"), _as_go(code))
    yield from (repr(text)[1:-1], html.escape(text), html.escape(text, quote=False))
    yield html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def _as_go(code: str) -> str:
    return code.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _quoted(text: str) -> Iterator[str]:
    """Yields it as shells write it: in single quotes, in double quotes, with backslashes, as `$'…'`."""
    yield text.replace("'", "'\"'\"'")
    yield text.replace("'", "'\\''")
    yield _IN_DOUBLE_QUOTES.sub(r"\\\1", text)
    yield _BASH_SPECIAL.sub(r"\\\1", text)
    yield _SHELL_SPECIAL.sub(r"\\\1", text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    yield escaped.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
