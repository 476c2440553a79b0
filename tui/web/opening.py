"""What `podium ui --web` does, without aiohttp until it is known to be there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from ...core.errors import MissingExtra, Unreachable


def run(
    homes: Sequence[Path],
    *,
    allow_changes: bool,
    theme: str | None,
    screen: str | None,
    port: int,
    say: Callable[[str], None],
) -> None:
    """Serves the cockpit to browsers of this machine until this process is told to end. `say` gets the address, with
    the token. Raises MissingExtra without `podium[web]`, Unreachable if the port is taken, and what opening the
    cockpit raises for a theme, a screen or a person's own files that cannot be used."""
    if find_spec("aiohttp") is None or find_spec("textual_serve") is None:
        raise MissingExtra("the cockpit in a browser needs textual-serve", hint="pip install 'podium[web]'")
    from ..app import check_choices, own_keys
    from .guard import Tokens
    from .server import ADDRESS, listening, serve
    from .session import Opening

    check_choices(theme=theme, screen=screen)
    own_keys()
    try:
        listener = listening(port)
    except OSError as error:
        words = f"{ADDRESS}:{port} cannot be listened on: {os.strerror(error.errno or 0)}"
        raise Unreachable(words, hint="leave --port out for one that is free") from error
    tokens = Tokens()
    with listener:
        say(f"http://{ADDRESS}:{listener.getsockname()[1]}/#{tokens.token}")
        asyncio.run(serve(Opening(tuple(map(str, homes)), not allow_changes, theme, screen), listener, tokens))
