"""The server, asked by hand: what it refuses, what it starts, and that nothing of it stays."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runner.scale import scaled
from tests.support import wait_until

from .browser import until
from .serving import Served, alive, served

aiohttp = pytest.importorskip("aiohttp")


def ask(script: Callable[[Any], Awaitable[None]]) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as http:
            await script(http)

    asyncio.run(run())


def own(server: Served) -> dict[str, str]:
    return {"Origin": server.place, "Authorization": f"Bearer {server.token}"}


async def a_ticket(http: Any, server: Served) -> str:
    async with http.post(f"{server.place}/ticket", headers=own(server)) as answer:
        assert answer.status == 200
        return await answer.text()


async def is_room(http: Any, server: Served) -> bool:
    async with http.post(f"{server.place}/ticket", headers=own(server)) as answer:
        return answer.status == 200


async def a_tab(http: Any, server: Served) -> Any:
    address = f"{server.place}/session/{await a_ticket(http, server)}?width=100&height=30"
    return await http.ws_connect(address, headers={"Origin": server.place})


async def drawn(tab: Any, words: str) -> str:
    """What a tab is sent until these words are among it."""
    seen = ""
    async for message in tab:
        if message.type is aiohttp.WSMsgType.BINARY:
            seen += message.data.decode("utf-8", "replace")
        if words in seen:
            return seen
    raise AssertionError(f"{words} is not drawn: {seen[-2000:]}")


def test_who_is_refused(home: Path) -> None:
    with served(home) as server:

        async def script(http: Any) -> None:
            ticket = await a_ticket(http, server)
            port = server.host.partition(":")[2]
            page, session = f"{server.place}/", f"{server.place}/session/{ticket}"
            # By a name of somebody else, as after DNS rebinding: not even the page.
            async with http.get(page, headers={"Host": f"evil.example:{port}"}) as answer:
                assert answer.status == 403 and "podium" not in answer.headers["Content-Security-Policy"]
            # The token is not enough for another page.
            for origin in ({}, {"Origin": "http://evil.example"}, {"Origin": f"http://127.0.0.1:{int(port) ^ 1}"}):
                headers = {"Authorization": f"Bearer {server.token}", **origin}
                async with http.post(f"{server.place}/ticket", headers=headers) as answer:
                    assert answer.status == 403
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await http.ws_connect(session, headers=origin)
                assert refused.value.status == 403
            with pytest.raises(aiohttp.WSServerHandshakeError):
                headers = {"Origin": f"http://evil.example:{port}", "Host": f"evil.example:{port}"}
                await http.ws_connect(session, headers=headers)
            # Nor is our own page enough without the token.
            for wrong in ("", "Bearer x", f"Bearer {server.token}x"):
                async with http.post(
                    f"{server.place}/ticket", headers={**own(server), "Authorization": wrong}
                ) as answer:
                    assert answer.status == 401 and "address" in await answer.text()
            for wrong in ("x", server.token):
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await http.ws_connect(f"{server.place}/session/{wrong}", headers={"Origin": server.place})
                assert refused.value.status == 403
            # Nothing but what the page needs.
            for path in (
                "/static/",
                "/static/js/",
                "/static/../__init__.py",
                "/static/%2e%2e/__init__.py",
                "/download/x",
            ):
                async with http.get(server.place + path) as answer:
                    assert answer.status == 404, path
            assert server.sessions == [], "nobody was let in"
            # And the ticket that all of them had is good for our page.
            async with await http.ws_connect(session, headers={"Origin": server.place}) as tab:
                await drawn(tab, "Overview")

        ask(script)
        code, said = server.end()
    assert code == 0
    assert server.token not in said and "Traceback" not in said and "evil" not in said


def test_only_this_machine_can_reach_it(home: Path) -> None:
    with served(home) as server:
        port = int(server.host.partition(":")[2])
        rows = [
            line.split() for file in ("tcp", "tcp6") for line in Path(f"/proc/net/{file}").read_text().splitlines()[1:]
        ]
        listening = [row[1] for row in rows if row[3] == "0A" and int(row[1].partition(":")[2], 16) == port]
    assert listening == [f"0100007F:{port:04X}"]


def test_a_session_ends_with_its_tab(home: Path) -> None:
    with served(home) as server:

        async def script(http: Any) -> None:
            first, second = await a_tab(http, server), await a_tab(http, server)
            await drawn(first, "Overview")
            await drawn(second, "Overview")
            pids = server.sessions
            assert len(pids) == 2
            await first.close()
            await until(lambda: server.sessions == pids[1:], "the first one has ended")
            assert not alive(pids[0])
            # One that is left by its key closes its tab.
            await second.send_str(json.dumps(["stdin", "\x11"]))
            async for _ in second:
                pass
            await until(lambda: server.sessions == [], "the second one has ended")

        ask(script)
        assert server.end()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_sessions_end_with_the_server(home: Path, number: signal.Signals) -> None:
    with served(home) as server:

        async def script(http: Any) -> None:
            tab = await a_tab(http, server)
            await drawn(tab, "Overview")
            [session] = server.sessions
            server.process.send_signal(number)
            async for _ in tab:
                pass
            await until(lambda: not alive(session), "the session has ended")

        ask(script)
        wait_until(lambda: server.process.poll() is not None, 10)
        assert server.process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 0)


def test_there_is_a_most_of_sessions(home: Path) -> None:
    from podium.tui.web.server import MOST_SESSIONS

    with served(home) as server:

        async def script(http: Any) -> None:
            # Whoever has tickets in store gets no more in than others.
            spare = await a_ticket(http, server)
            tabs = [await a_tab(http, server) for _ in range(MOST_SESSIONS)]
            async with http.post(f"{server.place}/ticket", headers=own(server)) as answer:
                assert answer.status == 503 and "close a tab" in await answer.text()
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(f"{server.place}/session/{spare}", headers={"Origin": server.place})
            assert refused.value.status == 503
            assert len(server.sessions) == MOST_SESSIONS
            await tabs.pop().close()
            await until(lambda: len(server.sessions) < MOST_SESSIONS, "its process has ended")
            while not await is_room(http, server):  # the server counts it a moment longer
                await asyncio.sleep(0.05)
            async with await a_tab(http, server) as tab:
                await drawn(tab, "Overview")

        ask(script)


@pytest.mark.parametrize(
    "said", ["", "{}", "[]", "[1]", '["stdin", 5]', '["resize", "x"]', '["nothing"]', "[" * 5000, b"\x00"]
)
def test_what_no_page_of_ours_says_ends_the_session(home: Path, said: str | bytes) -> None:
    with served(home) as server:

        async def script(http: Any) -> None:
            tab = await a_tab(http, server)
            await (tab.send_bytes(said) if isinstance(said, bytes) else tab.send_str(said))
            async for _ in tab:
                pass
            await until(lambda: server.sessions == [], "the session has ended")

        ask(script)
        code, words = server.end()
        assert code == 0 and "Traceback" not in words


def test_a_size_may_be_anything(home: Path) -> None:
    with served(home) as server:

        async def script(http: Any) -> None:
            async with await a_tab(http, server) as tab:
                await drawn(tab, "Overview")
                for width, height in ((-1, 0), (10**9, 10**9), ("x", None), (1e300, 3)):
                    await tab.send_str(json.dumps(["resize", {"width": width, "height": height}]))
                await tab.send_str(json.dumps(["resize", {"width": 120, "height": 40}]))
                await tab.send_str(json.dumps(["stdin", "2"]))
                await drawn(tab, "Steps of run")

        ask(script)


def said(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `podium ui` says where it does not open."""
    command = [sys.executable, "-P", "-m", "podium.cli", "ui", *arguments]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=scaled(30), check=False)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--allow-changes"], 2, "--allow-changes is for --web"),
        (["--port", "7000"], 2, "--port is for --web"),
        (["--web", "--linear"], 2, "--linear is for a terminal"),
        (["--web", "--read-only", "--allow-changes"], 2, "are opposites"),
        (["--web", "--theme", "nope"], 2, "there is no theme 'nope'"),
        (["--web", "--screen", "nope"], 2, "there is no screen 'nope'"),
    ],
)
def test_options_that_do_not_go_together(home: Path, arguments: list[str], code: int, words: str) -> None:
    done = said(home, *arguments)
    assert (done.returncode, done.stdout) == (code, "") and words in done.stderr and "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = said(home, "--web", "--port", str(port))
    assert done.returncode == 5 and done.stdout == ""
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use" in done.stderr


def test_a_file_of_a_persons_own_that_cannot_be_used_is_said_before_the_address(home: Path, tmp_path: Path) -> None:
    keys = tmp_path / "config" / "podium" / "keys.yaml"
    keys.parent.mkdir(parents=True)
    keys.write_text("nothing: x\n")
    done = said(home, "--web")
    assert (done.returncode, done.stdout) == (2, "") and f"{keys}:1" in done.stderr
