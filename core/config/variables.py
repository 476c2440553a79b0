"""`${NAME}` and `${NAME:-default}`: values from the environment of the calling process."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..domain.frozen import Frozen

# `$${` is a literal `${`. `${{` belongs to expressions.py and is left alone.
_REFERENCE = re.compile(r"\$\$\{(?!\{)|\$\{(?!\{)(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?", re.ASCII)
# The same behind the last `}`, where nothing is closed: looking for an end from each `${` would take hours.
_UNCLOSED = re.compile(r"\$\$\{(?!\{)|\$\{(?!\{)(?:(?!)()())?")
# A word of the name that begins or ends with KEY: KEY_ID, MY_KEYS, OPENAIKEY, APIKEY_2. MONKEY is taken for one too,
# which costs little.
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW(OR)?D|PASSPHRASE|CREDENTIAL|(^|_)KEY|KEY[0-9]*(_|$)", re.IGNORECASE)
# Words of the trade that only sound like it: how many tokens a model may write, by what a table is sorted.
_HARMLESS_NAME = re.compile(
    r"(MAX|MIN|NUM|N|NEW|TOTAL|INPUT|OUTPUT|PROMPT|CONTEXT|PAD|EOS|BOS|UNK|SEP|CLS|MASK)_(NEW_)?TOKENS?(?=_|$)|TOKENI[SZ]ERS?|"
    r"(SORT|PRIMARY|FOREIGN|PARTITION|GROUP|JOIN|INDEX|ORDER)_?KEYS?(?=_|$)",
    re.IGNORECASE,
)


class Expanded(Frozen):
    """A text with its variables filled in. `missing` are variables that are not set and have no default; `malformed`
    means that a `${` does not begin a variable.

    `secrets` are the values of variables whose names look secret; they must not be shown.
    """

    text: str
    missing: tuple[str, ...] = ()
    malformed: bool = False
    secrets: tuple[str, ...] = ()


def looks_secret(name: str) -> bool:
    return _SECRET_NAME.search(_HARMLESS_NAME.sub("", name)) is not None


def names(text: str) -> list[str]:
    """Returns the names of the variables that a text uses, sorted."""
    return sorted({match[1] for match in _REFERENCE.finditer(text, 0, text.rfind("}") + 1) if match[1]})


def expand(text: str, environ: Mapping[str, str]) -> Expanded:
    if "${" not in text:
        return Expanded(text)
    missing: list[str] = []
    secrets: list[str] = []
    malformed = False

    def replace(match: re.Match[str]) -> str:
        nonlocal malformed
        if match[0] == "$${":
            return "${"
        name, default = match[1], match[2]
        if name is None:
            malformed = True
            return ""
        value = environ.get(name)
        if value is None or (value == "" and default is not None):
            if default is None:
                missing.append(name)
            return default or ""
        if value and looks_secret(name):
            secrets.append(value)
        return value

    end = text.rfind("}") + 1
    filled = _REFERENCE.sub(replace, text[:end]) + _UNCLOSED.sub(replace, text[end:])
    return Expanded(filled, tuple(missing), malformed, tuple(secrets))
