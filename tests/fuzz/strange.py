"""Strategies that several subjects share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# What has broken readers before: no UTF-8, surrogates, other digits, other line ends, numbers beyond every type.
PIECES = (
    *(
        "\x00",
        "\ud800",
        "\u2028",
        "\x85",
        "\r",
        "\n",
        "\x1b[31m",
        "\u0661",
        "\u00b2",
        "\ufeff",
        "\U0001f600",
        "1e400",
        "-1e400",
    ),
    *(
        "NaN",
        "Infinity",
        "9" * 400,
        "-0",
        "0x10",
        "1_000",
        "\\",
        '"',
        "'",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "true",
    ),
    *(
        "..",
        "/etc/passwd",
        "%s",
        "${{",
        "}}",
        "$(id)",
        "<<",
        "2026-13-45T99:99:99Z",
        "0001-01-01",
        "9999-12-31T23:59:59+23:59",
    ),
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(PIECES)
    | st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**400, 1e308, -1.0, 1e18, "1", "1.5"])
)


def documents(names: Sequence[str], leaves: int = 25) -> SearchStrategy[Any]:
    """JSON of any shape, in which these names are keys."""
    return st.recursive(
        LEAVES,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(names) | st.text(max_size=4), inner, max_size=6)
        ),
        max_leaves=leaves,
    )


def written(document: Any) -> bytes:
    """JSON as a careless writer writes it: NaN, surrogates and huge numbers among it."""
    return json.dumps(document, default=str).encode()


@st.composite
def damaged(draw: st.DrawFn, text: str, pieces: Sequence[str] = PIECES) -> str:
    """The text with a few pieces cut out, doubled or overwritten."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 30))
        piece = draw(st.just("") | st.sampled_from(pieces) | st.text(max_size=5) | st.just(text[at : at + length] * 2))
        text = text[:at] + piece + text[at + length :]
    return text


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """A document in which one to three values are something else, or gone."""
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        place = document
        while isinstance(place, dict | list) and place:
            key = draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
            if not isinstance(place[key], dict | list) or not place[key] or draw(st.integers(0, 3)) == 0:
                if isinstance(place, dict) and draw(st.booleans()):
                    del place[key]
                else:
                    place[key] = draw(
                        LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(st.text(max_size=3), LEAVES)
                    )
                break
            place = place[key]
    return document


def as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
