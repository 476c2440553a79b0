"""Colours. Two themes of our own, made to survive 256 and 16 colours; widgets ask for a role, never for a colour."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from rich.style import Style
from textual.theme import Theme

from ..core.domain.frozen import Frozen

DARK = "podium-dark"
LIGHT = "podium-light"
CONTRAST = "podium-contrast"


class _Colours(Frozen):
    background: str
    surface: str
    panel: str
    text: str
    muted: str
    faint: str
    ok: str
    bad: str
    warn: str
    run: str
    wait: str
    accent: str
    cursor: str
    blurred: str
    match: str
    protected: str


_COLOURS = {
    DARK: _Colours(
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
    LIGHT: _Colours(
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
    CONTRAST: _Colours(
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

THEMES = tuple(
    Theme(
        name=name,
        primary=c.accent,
        secondary=c.run,
        warning=c.warn,
        error=c.bad,
        success=c.ok,
        accent=c.accent,
        foreground=c.text,
        background=c.background,
        surface=c.surface,
        panel=c.panel,
        dark=name != LIGHT,
        variables={
            "frame": c.faint,
            "frame-focus": c.accent,
            "muted": c.muted,
            "faint": c.faint,
            "protected": c.protected,
            "wait": c.wait,
            "cursor-line": c.cursor,
            "block-cursor-background": c.cursor,
            "block-cursor-foreground": c.text,
            "block-cursor-text-style": "bold",
            "button-focus-text-style": "bold",
            "input-selection-background": c.cursor,
            "scrollbar": c.faint,
            "scrollbar-background": c.surface,
        },
    )
    for name, c in _COLOURS.items()
)


# What the calm colours would all become white or black as, in the 16 that a plain tmux has.
_SIXTEEN = {
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


class Palette:
    """Rich styles by role. `bold` may be added to a role with a trailing `!`, as in `ok!`. With `few` colours (16)
    the cursor is shown in reverse, for the shades that would show it elsewhere are all one black there."""

    def __init__(self, name: str, *, few: bool = False) -> None:
        c = _COLOURS.get(name, _COLOURS[DARK])
        if few:
            c = replace(c, **(_SIXTEEN[name if name in _SIXTEEN else DARK]))
        foreground = ("text", "muted", "faint", "ok", "bad", "warn", "run", "wait", "accent", "protected")
        self._styles = {role: Style(color=getattr(c, role)) for role in foreground}
        self._styles |= {f"{role}!": Style(color=getattr(c, role), bold=True) for role in foreground}
        self._styles |= {
            "": Style(color=c.text),
            "ground": Style(bgcolor=c.surface),
            "head": Style(color=c.muted, bold=True),
            "cursor": Style(reverse=True) if few else Style(bgcolor=c.cursor),
            "blurred": Style(underline=True) if few else Style(bgcolor=c.blurred),
            "match": Style(reverse=True, bold=True) if few else Style(bgcolor=c.match, bold=True),
            "banner": Style(color=c.surface, bgcolor=c.protected, bold=True),
            "badge": Style(color=c.surface, bgcolor=c.warn, bold=True),
            "bar": Style(bgcolor=c.panel),
            "underline": Style(underline=True),
        }

    def __getitem__(self, role: str) -> Style:
        return self._styles[role]


@lru_cache(maxsize=8)
def palette(name: str, few: bool = False) -> Palette:
    return Palette(name, few=few)


def theme_name(choice: str | None) -> str:
    """`dark`, `light` or `contrast` -> the theme's name."""
    return {"light": LIGHT, "contrast": CONTRAST}.get(choice or "", DARK)


def next_theme(name: str) -> str:
    """Returns the theme that comes after one."""
    names = list(_COLOURS)
    return names[(names.index(name) + 1) % len(names)] if name in names else DARK


def contrasts(name: str) -> dict[tuple[str, str], float]:
    """Returns the contrast (1..21) of each colour of text on each ground that it stands on."""
    c = _COLOURS[name]
    roles = ("text", "muted", "faint", "ok", "bad", "warn", "run", "wait", "accent", "protected")
    grounds = ("surface", "panel", "cursor", "blurred", "match")
    return {(role, ground): _contrast(getattr(c, role), getattr(c, ground)) for role in roles for ground in grounds}


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
