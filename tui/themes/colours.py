"""Colours by role. Themes are made of them, ours and a person's own; nothing here knows what draws them."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.domain.frozen import Frozen

DARK, LIGHT, CONTRAST = "dark", "light", "contrast"
TEXTS = ("text", "muted", "faint", "ok", "bad", "warn", "run", "wait", "accent", "protected")
GROUNDS = ("surface", "panel", "cursor", "blurred", "match")


class Colours(Frozen):
    background: str
    """Behind everything, between panes."""
    surface: str
    """Behind the text of panes."""
    panel: str
    """The top and the bottom line, and bars."""
    text: str
    muted: str
    """What matters less."""
    faint: str
    """Frames, and what cannot be done."""
    ok: str
    """Succeeded, serving."""
    bad: str
    """Failed."""
    warn: str
    """What needs a look."""
    run: str
    """Running."""
    wait: str
    """Waiting for a person."""
    accent: str
    """Keys, links, the frame of the focused pane."""
    cursor: str
    """Behind the line under the cursor."""
    blurred: str
    """The same in a pane without the focus."""
    match: str
    """Behind what a search has found."""
    protected: str
    """The frame and the banner of a protected environment."""


COLOURS: Mapping[str, Colours] = {
    DARK: Colours(
        background="#121316",
        surface="#17181b",
        panel="#212327",
        text="#d3d7de",
        muted="#8b93a1",
        faint="#565e6b",
        ok="#86c18a",
        bad="#ee7a7a",
        warn="#e6b566",
        run="#6fbde0",
        wait="#c9a0e0",
        accent="#8fb8f0",
        cursor="#343a45",
        blurred="#26282d",
        match="#6b5a1e",
        protected="#ee7a7a",
    ),
    LIGHT: Colours(
        background="#f6f7f8",
        surface="#ffffff",
        panel="#e8e8ea",
        text="#1f252d",
        muted="#5f6875",
        faint="#9aa2ad",
        ok="#22772c",
        bad="#b3261e",
        warn="#8a5a00",
        run="#0a6a94",
        wait="#7a3aa0",
        accent="#1f5fb4",
        cursor="#cfe0f7",
        blurred="#ededf0",
        match="#ffe08a",
        protected="#b3261e",
    ),
    # Every colour of text stands at 7:1 at least against what it is written on (WCAG's AAA).
    CONTRAST: Colours(
        background="#000000",
        surface="#000000",
        panel="#1a1a1a",
        text="#ffffff",
        muted="#d0d0d0",
        faint="#b4b4b4",
        ok="#5fff5f",
        bad="#ff9a9a",
        warn="#ffe14d",
        run="#5fd7ff",
        wait="#ffafff",
        accent="#8fd0ff",
        cursor="#003a5c",
        blurred="#2a2a2a",
        match="#4a3b00",
        protected="#ff9a9a",
    ),
}

# What the calm colours would all become white or black as, in the 16 that a plain tmux has.
SIXTEEN: Mapping[str, Mapping[str, str]] = {
    DARK: {
        "ok": "#00aa00",
        "bad": "#ff5555",
        "warn": "#ffff55",
        "run": "#00aaaa",
        "wait": "#ff55ff",
        "accent": "#55ffff",
        "protected": "#ff5555",
    },
    LIGHT: {"ok": "#00aa00", "warn": "#aa5500", "accent": "#0000aa"},
}


def contrasts(colours: Colours) -> Mapping[tuple[str, str], float]:
    """Returns the contrast (1..21) of each colour of text on each ground that it stands on."""
    return {
        (role, ground): contrast(getattr(colours, role), getattr(colours, ground))
        for role in TEXTS
        for ground in GROUNDS
    }


def contrast(one: str, other: str) -> float:
    """Returns the contrast (1..21) of two colours, as WCAG reckons it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
