"""The cockpit in a real browser, and a page of somebody else beside it."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import required

from .browser import Browser, until
from .serving import Served, served

pytestmark = pytest.mark.timeout(300)


def browse(profile: Path, script: Callable[[Browser], Awaitable[None]], *options: str) -> None:
    required("" if shutil.which("chromium") else "chromium")

    async def run() -> None:
        async with Browser(profile, "--window-size=1280,800", *options) as browser:
            await script(browser)

    asyncio.run(run())


def test_it_is_painted_and_keys_work(home: Path, tmp_path: Path) -> None:
    with served(home) as server:

        async def script(browser: Browser) -> None:
            page = await browser.open(server.address)
            await page.shows("Overview")
            await page.shows("read-only")
            first = await page.picture()
            assert len(first) > 15_000, "there is something to see"
            assert await page.value("location.href") == f"{server.place}/", "the token is out of the address bar"
            await page.press("2")
            await page.shows("Steps of run 14")
            await page.press("R")
            await page.shows("read-only: started with --read-only, or with --web without --allow-changes")
            assert await page.picture() != first
            assert {status for _, status in page.statuses} == {200}
            assert all(address.startswith(server.place) for address, _ in page.statuses), "it asks nobody else"
            assert not any(server.token in address for address, _ in page.statuses)
            # A reload has the token still, and a session of its own.
            [before] = server.sessions
            page.carried = ""
            await page.call("Page.reload")
            await page.shows("Overview")
            await until(lambda: len(server.sessions) == 1 and server.sessions != [before], "one session, another one")
            await page.close()
            await until(lambda: server.sessions == [], "it ends with its tab")

        browse(tmp_path / "profile", script)
        code, said = server.end()
    assert code == 0 and server.token not in said


def test_reading_only_writes_no_file_and_runs_no_command(home: Path, tmp_path: Path) -> None:
    own = tmp_path / "config" / "podium" / "commands.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(f"mark:\n  command: touch {tmp_path}/marked\n  key: ctrl+y\n")
    with served(home) as server:

        async def script(browser: Browser) -> None:
            page = await browser.open(f"{server.address}")
            await page.shows("Overview")
            await page.call("Input.insertText", text="\x19")
            await page.shows("mark: read-only")
            await page.call("Input.insertText", text="2")
            await page.shows("Steps of run 14")
            await page.call("Input.insertText", text="\t\t")
            await page.call("Input.insertText", text="e")
            await page.shows("save log: read-only")
            await page.call("Input.insertText", text="\x1a")
            await page.shows("in a browser there is no shell to go back to")

        browse(tmp_path / "profile", script)
    assert not (tmp_path / "marked").exists()


def test_changes_where_they_are_asked_for(home: Path, tmp_path: Path) -> None:
    with served(home, "--allow-changes") as server:

        async def script(browser: Browser) -> None:
            page = await browser.open(f"{server.address}")
            await page.shows("Overview")
            await page.press("4")
            await page.shows("production")
            await page.press("P")
            await page.shows("type production to confirm")

        browse(tmp_path / "profile", script)


class _Evil(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>evil</title><p>hello")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def another_page() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Evil)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


_SOCKET = """new Promise(done => {
  const socket = new WebSocket(%r);
  socket.onopen = () => done("open");
  socket.onerror = () => done("refused");
})"""
_FETCH = """fetch(%r, {method: "POST", headers: {Authorization: %r}}).then(a => a.text(), () => "refused")"""
_BLIND = """fetch(%r, {method: "POST", mode: "no-cors"}).then(a => a.type, () => "refused")"""
_FRAME = """new Promise(done => {
  const frame = document.createElement("iframe");
  frame.onload = () => { try { done(frame.contentDocument ? "blank" : "other"); } catch { done("other"); } };
  frame.src = %r;
  document.body.append(frame);
})"""


def test_a_page_of_somebody_else_gets_nothing(home: Path, tmp_path: Path) -> None:
    """It knows all that there is to know, token and a ticket too: a browser does not let it use them."""
    with served(home) as server, another_page() as evil:

        async def script(browser: Browser) -> None:
            own = await browser.open(f"{server.place}/")
            ticket = await own.value(_FETCH % ("/ticket", f"Bearer {server.token}"))
            assert len(ticket) == 43
            await attack(browser, evil, server, ticket)
            # By a name of its own that leads here.
            port = server.host.partition(":")[2]
            rebound = await browser.open(f"http://evil.example:{port}/")
            await until(lambda: rebound.statuses, "an answer")
            assert rebound.statuses[0] == (f"http://evil.example:{port}/", 403)
            assert await rebound.value(_SOCKET % f"ws://evil.example:{port}/session/{ticket}") == "refused"
            assert server.sessions == [], "nobody was let in"
            assert await own.value(_SOCKET % f"ws://{server.host}/session/{ticket}") == "open"

        browse(tmp_path / "profile", script, "--host-resolver-rules=MAP evil.example 127.0.0.1")


async def attack(browser: Browser, evil: str, server: Served, ticket: str) -> None:
    page = await browser.open(evil)
    await until(lambda: page.statuses, "the page is there")
    assert await page.value(_SOCKET % f"ws://{server.host}/session/{ticket}") == "refused"
    assert await page.value(_SOCKET % f"ws://localhost:{server.host.partition(':')[2]}/session/{ticket}") == "refused"
    assert await page.value(_FETCH % (f"{server.place}/ticket", f"Bearer {server.token}")) == "refused"
    await page.value(_BLIND % f"{server.place}/ticket")
    assert [status for address, status in page.statuses if address.endswith("/ticket")] in ([], [403], [403, 403])
    await page.value(_FRAME % f"{server.place}/")
    assert "Content-Security-Policy" not in await page.text()
    assert server.sessions == []


def test_without_the_token_the_page_says_what_to_do(home: Path, tmp_path: Path) -> None:
    with served(home) as server:

        async def script(browser: Browser) -> None:
            page = await browser.open(f"{server.place}/")
            await page.says("Open the address that `podium ui --web` has printed")
            page = await browser.open(f"{server.place}/#wrong")
            await page.says("this token is not the one of this server")
            assert server.sessions == []

        browse(tmp_path / "profile", script)
