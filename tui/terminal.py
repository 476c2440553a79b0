"""What the terminal can do. Imports no Textual, so that a headless command can ask before it pays for Textual."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Mapping
from typing import TextIO

from ..core.domain.text import one_line

# Terminals drop longer OSC 52 payloads silently (xterm: 100,000 bytes with the wrapping), so we refuse instead of
# losing the end.
CLIPBOARD_LIMIT = 74_000
NOTIFICATION_LIMIT = 200
# Characters; the most that screen hands on at a time is bytes, 768 of the versions before 4.2.
_SCREEN_PIECE = 180


_CANNOT_DRAW = ("", "dumb", "unknown")


def cannot_draw(environ: Mapping[str, str] | None = None) -> bool:
    """Tells whether TERM says that nothing but lines can be written: the cockpit is in linear mode then."""
    return (os.environ if environ is None else environ).get("TERM", "") in _CANNOT_DRAW


def check(stdin: TextIO | None = None, stderr: TextIO | None = None) -> str | None:
    """Why the cockpit cannot run here, in words with a hint; None when it can.

    Textual reads stdin and draws on stderr. With stdin at /dev/null it spins for ever, and through a pipe it writes
    escapes for ever.
    """
    stdin = stdin if stdin is not None else sys.__stdin__
    stderr = stderr if stderr is not None else sys.__stderr__
    for name, stream in (("standard input", stdin), ("standard error", stderr)):
        if stream is None or stream.closed or not stream.isatty():
            return f"the cockpit needs a terminal, and {name} is not one; `podium status` prints the same without"
    return None


def over_ssh() -> bool:
    """Whether this terminal is at the far end of an SSH connection."""
    return bool(os.environ.get("SSH_CONNECTION"))


def prepare_environment() -> None:
    """Forget LINES and COLUMNS: Textual believes them more than the terminal, and then a resize is never seen."""
    for name in ("LINES", "COLUMNS"):
        os.environ.pop(name, None)


def plain_glyphs(stream: TextIO | None = None, environ: Mapping[str, str] | None = None) -> bool:
    """Whether to draw with ASCII alone: the terminal's encoding is not UTF-8, or PODIUM_GLYPHS=ascii asks for it."""
    environ = os.environ if environ is None else environ
    choice = environ.get("PODIUM_GLYPHS", "").lower()
    if choice:
        return choice == "ascii"
    stream = stream if stream is not None else sys.__stderr__
    encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "").replace("_", "")
    return encoding != "utf8"


def clipboard_sequence(text: str, environ: Mapping[str, str] | None = None) -> str | None:
    """The escape sequence that puts `text` on the clipboard of the person's own terminal, over SSH too. None when
    the text is too long.

    tmux either handles a bare OSC 52 itself or hands a wrapped one on, depending on its settings; it gets both.
    """
    environ = os.environ if environ is None else environ
    payload = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    if len(payload) > CLIPBOARD_LIMIT:
        return None
    bare = f"\x1b]52;c;{payload}\x07"
    return (bare if environ.get("TMUX") else "") + handed_on(bare, environ)


def notification_sequence(text: str, environ: Mapping[str, str] | None = None) -> str:
    """The escape sequence (OSC 9) that shows `text` as a notification of the person's own desktop, where the terminal
    can. The text steers no terminal, and has at most NOTIFICATION_LIMIT characters."""
    environ = os.environ if environ is None else environ
    # What begins with a number and a semicolon is another command of some terminals, such as a progress bar.
    return handed_on(f"\x1b]9;Podium: {one_line(text)[:NOTIFICATION_LIMIT]}\x07", environ)


def handed_on(sequence: str, environ: Mapping[str, str]) -> str:
    """A sequence that ends with BEL as a multiplexer hands it on to the terminal around it: tmux where
    `allow-passthrough` is on (else it drops it), screen always. As it is without one."""
    if environ.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if environ.get("TERM", "").startswith("screen") and environ.get("STY"):
        # A piece is ended by ESC \, so none may end with ESC, and screen takes no longer ones.
        pieces = [sequence[i : i + _SCREEN_PIECE] for i in range(0, len(sequence), _SCREEN_PIECE)]
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return sequence
