"""A state is always a glyph and a word, and a colour third: never a colour alone."""

from __future__ import annotations

from ..core.domain.delivery import DeploymentState, ReplicaState
from ..core.domain.runs import RunState, StepState
from ..core.domain.verdicts import Verdict

_UNICODE = {
    "ok": "✓",
    "bad": "✗",
    "run": "●",
    "wait": "◆",
    "idle": "·",
    "skip": "○",
    "stop": "■",
    "warn": "!",
    "cut": "↯",
    "mark": "▌",
    "point": "▸",
    "critical": "▸",
    "here": "▸",
    "cached": "↺",
    "lock": "⚿",
    "arrow": "→",
    "dash": "–",
    "up": "▲",
    "down": "▼",
    "dot": "·",
    "pin": "◂",
    "ellipsis": "…",
    "one": "─",
    "first": "┬",
    "mid": "├",
    "last": "└",
    "bar": "━",
    "thumb": "█",
    "track": "│",
    "rule": "─",
    "near": "≈",
    "unequal": "≠",
}
_ASCII = {
    "ok": "+",
    "bad": "x",
    "run": "*",
    "wait": "?",
    "idle": ".",
    "skip": "o",
    "stop": "#",
    "warn": "!",
    "cut": "~",
    "mark": "|",
    "point": ">",
    "critical": ">",
    "here": ">",
    "cached": "=",
    "lock": "!",
    "arrow": "->",
    "dash": "-",
    "up": "^",
    "down": "v",
    "dot": ".",
    "pin": "<",
    "ellipsis": "~",
    "one": "-",
    "first": "+",
    "mid": "|",
    "last": "+",
    "bar": "=",
    "thumb": "#",
    "track": "|",
    "rule": "-",
    "near": "~",
    "unequal": "/",
}

# No full block: rows that stand on each other must stay apart.
BLOCKS = " ▁▂▃▄▅▆▇"
ASCII_BLOCKS = " _.-=+*#"
# From weak to strong, for a heat table.
SHADES = "·░▒▓█"
ASCII_SHADES = ".:+*#"

# state -> (glyph's name, role of the palette)
_STATES: dict[str, tuple[str, str]] = {
    RunState.QUEUED: ("idle", "muted"),
    RunState.RUNNING: ("run", "run"),
    RunState.WAITING: ("wait", "wait"),
    RunState.SUCCEEDED: ("ok", "ok"),
    RunState.FAILED: ("bad", "bad"),
    RunState.CANCELLED: ("stop", "muted"),
    RunState.INTERRUPTED: ("cut", "warn"),
    StepState.PENDING: ("idle", "faint"),
    StepState.SKIPPED: ("skip", "faint"),
    DeploymentState.UNDONE: ("cut", "warn"),
    ReplicaState.STARTING: ("idle", "run"),
    ReplicaState.READY: ("ok", "ok"),
    ReplicaState.WARM: ("wait", "accent"),
    ReplicaState.DRAINING: ("down", "warn"),
    ReplicaState.DEAD: ("bad", "bad"),
    ReplicaState.STOPPED: ("stop", "muted"),
    ReplicaState.UNKNOWN: ("warn", "warn"),
    Verdict.PASS: ("ok", "ok"),
    Verdict.INCONCLUSIVE: ("wait", "wait"),
    Verdict.FAIL: ("bad", "bad"),
    Verdict.ERROR: ("warn", "bad"),
}


class Glyphs:
    """The characters to draw with: Unicode blocks, or ASCII where the terminal cannot show them."""

    def __init__(self, *, plain: bool = False) -> None:
        self.plain = plain
        self._table = _ASCII if plain else _UNICODE
        self.blocks = ASCII_BLOCKS if plain else BLOCKS
        self.shades = ASCII_SHADES if plain else SHADES

    def __getitem__(self, name: str) -> str:
        return self._table[name]

    def text(self, text: str) -> str:
        """Our own words, in what the terminal can show."""
        if not self.plain:
            return text
        for fancy, plain in (
            ("–", "-"),
            ("—", "-"),
            ("…", "~"),
            ("→", "->"),
            ("·", "."),
            ("’", "'"),
            ("×", "x"),
            ("Δ", "d"),
            ("▸", ">"),
            ("↓", "v"),
        ):
            text = text.replace(fancy, plain)
        return text.encode("ascii", "replace").decode("ascii")

    def state(self, state: str) -> tuple[str, str]:
        """(glyph, role) of a run's, step's, replica's or deployment's state, or of a verdict."""
        name, role = _STATES.get(state, ("idle", "muted"))
        return self._table[name], role
