"""Colours. Two themes of our own, made to survive 256 and 16 colours; widgets ask for a role, never for a colour."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from rich.style import Style
from textual.theme import Theme

from ..core.domain.frozen import Frozen

DARK = "podium-dark"
LIGHT = "podium-light"


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
        dark=name == DARK,
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
    """`dark`, `light` or a full name -> the theme's name."""
    return {None: DARK, "": DARK, "dark": DARK, "light": LIGHT}.get(choice, DARK)
