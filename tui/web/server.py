"""The server: one page, what it is drawn with, and a WebSocket for each tab. It needs the packages of `podium[web]`."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from ...core.errors import MissingExtra
from .guard import Tokens, refusal
from .session import Opening, Session

ADDRESS = "127.0.0.1"
MOST_SESSIONS = 8
_MOST_BYTES = 64 * 1024  # of one message of a tab: what somebody pastes
_HEARTBEAT_SECONDS = 15.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_HERE = Path(__file__).parent
_OWN = {"/": "page.html", "/page.css": "page.css", "/start.js": "start.js"}
_OTHERS = ("js/textual.js", "css/xterm.css", "fonts/RobotoMono-VariableFont_wght.ttf")
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".ttf": "font/ttf"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def drawn_with() -> Path:
    """Returns the directory of what the page is drawn with. Raises MissingExtra without textual-serve."""
    found = find_spec("textual_serve")
    if found is None or not found.origin:
        raise MissingExtra("the cockpit in a browser needs textual-serve", hint="pip install 'podium[web]'")
    return Path(found.origin).parent / "static"


def listening(port: int) -> socket.socket:
    """Returns a socket that listens on this machine alone; 0 is any free port. Raises OSError if it is taken."""
    made = socket.create_server((ADDRESS, port))
    made.setblocking(False)
    return made


async def serve(opening: Opening, listener: socket.socket, tokens: Tokens) -> None:
    """Serves until this process is told to end, and ends all sessions then."""
    loop, ending = asyncio.get_running_loop(), asyncio.Event()
    for number in _ENDING:
        loop.add_signal_handler(number, ending.set)
    # Neither addresses nor mistakes of whoever asks are written anywhere.
    logging.getLogger("aiohttp").addHandler(logging.NullHandler())
    cockpits = _Cockpits(opening, tokens, drawn_with())
    runner = web.AppRunner(cockpits.app(), access_log=None, handle_signals=False, shutdown_timeout=3.0)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        await ending.wait()
    finally:
        await runner.cleanup()


class _Cockpits:
    """The sessions of one server."""

    def __init__(self, opening: Opening, tokens: Tokens, static: Path) -> None:
        self._opening, self._tokens = opening, tokens
        self._files = {path: _HERE / name for path, name in _OWN.items()}
        self._files |= {f"/static/{name}": static / name for name in _OTHERS}
        self._open: set[web.WebSocketResponse] = set()

    def app(self) -> web.Application:
        made = web.Application(middlewares=[_guarded], client_max_size=1024)
        made.add_routes([web.get(path, self._file) for path in self._files])
        made.add_routes([web.post("/ticket", self._ticket), web.get("/session/{ticket}", self._session)])
        made.on_shutdown.append(self._end)
        return made

    async def _file(self, request: web.Request) -> web.StreamResponse:
        file = self._files[request.path]
        return web.Response(body=file.read_bytes(), content_type=_TYPES[file.suffix], charset=_charset(file))

    async def _ticket(self, request: web.Request) -> web.StreamResponse:
        ticket = self._tokens.ticket(request.headers.get("Authorization", ""))
        if not ticket:
            words = "this token is not the one of this server (any more); use the address that it printed"
            return web.Response(status=401, text=words)
        return self._full() or web.Response(text=ticket)

    def _full(self) -> web.Response | None:
        if len(self._open) < MOST_SESSIONS:
            return None
        return web.Response(status=503, text=f"{MOST_SESSIONS} sessions are open, which is the most; close a tab first")

    async def _session(self, request: web.Request) -> web.StreamResponse:
        if not self._tokens.take(request.match_info["ticket"]):
            return web.Response(status=403, text="this ticket was used, or is too old")
        full = self._full()
        if full is not None:
            return full
        tab = web.WebSocketResponse(timeout=1.0, heartbeat=_HEARTBEAT_SECONDS, max_msg_size=_MOST_BYTES)
        self._open.add(tab)
        try:
            await tab.prepare(request)
            session = await Session.start(
                self._opening, _number(request.query.get("width"), 80), _number(request.query.get("height"), 24)
            )
            drawing = asyncio.create_task(_draw(session, tab))
            try:
                await _take(session, tab)
            finally:
                drawing.cancel()
                await asyncio.gather(drawing, return_exceptions=True)
                await session.end()
        finally:
            self._open.discard(tab)
        return tab

    async def _end(self, _app: web.Application) -> None:
        await asyncio.gather(*(tab.close(message=b"the server has ended") for tab in tuple(self._open)))


async def _draw(session: Session, tab: web.WebSocketResponse) -> None:
    """Sends what the cockpit draws, and closes when it has left."""
    try:
        async for data in session.output():
            await tab.send_bytes(data)
    except ConnectionError:
        return
    await tab.close()


async def _take(session: Session, tab: web.WebSocketResponse) -> None:
    """Hands on what the tab says, until it is closed or says what no page of ours does."""
    async for message in tab:
        if message.type is not WSMsgType.TEXT:
            return
        kind, value = _said(message.data)
        if kind == "stdin" and isinstance(value, str):
            if not await session.type(value):
                return
        elif kind == "resize" and isinstance(value, Mapping):
            session.resize(_number(value.get("width"), 80), _number(value.get("height"), 24))
        elif kind == "ping":
            await tab.send_json(["pong", str(value)])
        elif kind not in ("focus", "blur"):
            return


def _said(text: str) -> tuple[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "", None
    if not isinstance(found, list) or not found or not isinstance(found[0], str):
        return "", None
    return found[0], found[1] if len(found) > 1 else None


def _number(value: object, otherwise: int) -> int:
    """Returns a size that a tab names; it may name anything."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else otherwise


def _charset(file: Path) -> str | None:
    return None if file.suffix == ".ttf" else "utf-8"


@web.middleware
async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Looks at each request before anything else does, and says to the browser what the answer may be used for."""
    from_page = request.method != "GET" or request.path.startswith("/session/")
    why = refusal(request.headers.getall("Host", []), request.headers.getall("Origin", []), from_page=from_page)
    if why:
        response: web.StreamResponse = web.Response(status=403, text=why)
    else:
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = web.Response(status=error.status, text=error.reason)
    if not response.prepared:
        response.headers.update(_headers("" if why else request.headers["Host"]))
    return response


def _headers(host: str) -> Mapping[str, str]:
    """Returns what the browser is told: the page asks nobody else, nobody frames it, nothing of it is kept."""
    socket_of_it = f" ws://{host}" if host else ""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src data:; "
        f"connect-src 'self'{socket_of_it}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "Server": "podium",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
