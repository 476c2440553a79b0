"""What the terminal can do. Imports no Textual, so that a headless command can ask before it pays for Textual."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Mapping
from typing import TextIO

# Terminals drop longer OSC 52 payloads silently (xterm: 100,000 bytes with the wrapping), so we refuse instead of
# losing the end.
CLIPBOARD_LIMIT = 74_000


def check(
    stdin: TextIO | None = None, stderr: TextIO | None = None, environ: Mapping[str, str] | None = None
) -> str | None:
    """Why the cockpit cannot run here, in words with a hint; None when it can.

    Textual reads stdin and draws on stderr. With stdin at /dev/null it spins for ever, and through a pipe it writes
    escapes for ever.
    """
    stdin = stdin if stdin is not None else sys.__stdin__
    stderr = stderr if stderr is not None else sys.__stderr__
    environ = os.environ if environ is None else environ
    for name, stream in (("standard input", stdin), ("standard error", stderr)):
        if stream is None or stream.closed or not stream.isatty():
            return f"the cockpit needs a terminal, and {name} is not one; `podium status` prints the same without"
    term = environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        return (
            f"the cockpit cannot draw on TERM={term or '(empty)'}; set TERM (for example xterm-256color), or use"
            " `podium status`"
        )
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
    if environ.get("TMUX"):
        escaped = bare.replace("\x1b", "\x1b\x1b")
        return f"{bare}\x1bPtmux;{escaped}\x1b\\"
    if environ.get("TERM", "").startswith("screen") and environ.get("STY"):
        pieces = [bare[i : i + 512] for i in range(0, len(bare), 512)]
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return bare
