"""Themes as Textual and Rich want them. Ours are made to survive 256 and 16 colours; widgets ask for a role, never for
a colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich.style import Style
from textual.theme import Theme

from ..personal.themes import OwnTheme
from .colours import COLOURS, DARK, LIGHT, SIXTEEN, TEXTS, Colours

_PREFIX = "podium-"  # Textual has themes of its own, and a person may call one of theirs as it does


class Palette:
    """Rich styles by role. `bold` may be added to a role with a trailing `!`, as in `ok!`. With `few` colours (16)
    the cursor is shown in reverse, for the shades that would show it elsewhere are all one black there."""

    def __init__(self, c: Colours, *, few: bool = False) -> None:
        self._styles = {role: Style(color=getattr(c, role)) for role in TEXTS}
        self._styles |= {f"{role}!": Style(color=getattr(c, role), bold=True) for role in TEXTS}
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
        """Returns the style of a role; `#rrggbb on #rrggbb` is a part of a picture."""
        return Style.parse(role) if role.startswith("#") else self._styles[role]


class Themes:
    """Those that there are: ours, then a person's own."""

    def __init__(self, own: Sequence[OwnTheme] = ()) -> None:
        self._own: Mapping[str, OwnTheme] = {each.name: each for each in own}
        self._colours = {**COLOURS, **{name: each.colours for name, each in self._own.items()}}
        self._palettes: dict[tuple[str, bool], Palette] = {}

    def textual(self) -> Sequence[Theme]:
        """Returns them as Textual's."""
        return [_textual(name, colours, dark=self._base(name) != LIGHT) for name, colours in self._colours.items()]

    def palette(self, theme: str, few: bool = False) -> Palette:
        """Returns the styles of a theme, by Textual's name of it. With `few` colours states have those of its base,
        which are among the 16."""
        found = self._palettes.get((theme, few))
        if found is None:
            name = theme.removeprefix(_PREFIX)
            name = name if name in self._colours else DARK
            colours = self._colours[name]
            if few:
                colours = replace(colours, **SIXTEEN.get(self._base(name), SIXTEEN[DARK]))
            found = self._palettes[theme, few] = Palette(colours, few=few)
        return found

    def after(self, theme: str) -> str:
        """Returns Textual's name of the theme that comes after one."""
        names = [theme_name(each) for each in self._colours]
        return names[(names.index(theme) + 1) % len(names)] if theme in names else theme_name(DARK)

    def warning(self, theme: str) -> str:
        """Returns what can hardly be read in a theme, in words; empty if all can."""
        own = self._own.get(theme.removeprefix(_PREFIX))
        if own is None or not own.warnings:
            return ""
        more = f" (and {len(own.warnings) - 1} more)" if len(own.warnings) > 1 else ""
        return f"theme {own.name}: {own.warnings[0]}{more}"

    def _base(self, name: str) -> str:
        return self._own[name].base if name in self._own else name


def theme_name(choice: str | None) -> str:
    """Returns Textual's name of a theme; without a choice that of the dark one."""
    return _PREFIX + (choice or DARK)


def _textual(name: str, c: Colours, *, dark: bool) -> Theme:
    return Theme(
        name=theme_name(name),
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
        dark=dark,
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
