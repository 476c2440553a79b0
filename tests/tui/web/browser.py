"""A headless Chromium, steered by its own protocol: pages that are open, keys that are pressed, and what WebSockets of a
page have carried."""

from __future__ import annotations

import asyncio
import base64
import itertools
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.runner.scale import scaled

QUIET = ("--no-first-run", "--disable-background-networking", "--disable-sync", "--disable-component-update")
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[PX^_][^\x1b]*\x1b\\|\x1b.")
_KEYS = {"Enter": ("\r", 13), "Escape": ("", 27)}


def program() -> str | None:
    return shutil.which("chromium")


class Browser:
    """Ends with the `async with`."""

    def __init__(self, profile: Path, *options: str) -> None:
        self._profile, self._options = profile, options

    async def __aenter__(self) -> Browser:
        import aiohttp

        command = ["chromium", "--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader", *QUIET, *self._options]
        command += [f"--user-data-dir={self._profile}", "--remote-debugging-port=0", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        place = self._profile / "DevToolsActivePort"
        await until(lambda: place.exists() and place.read_text().count("\n") >= 1, "the browser answers")
        self.port = int(place.read_text().split("\n")[0])
        self._http = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()
        self._process.terminate()
        try:
            self._process.wait(scaled(10))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    async def open(self, address: str) -> Page:
        """Opens a tab."""
        base = f"http://127.0.0.1:{self.port}"
        async with self._http.put(f"{base}/json/new?about:blank") as answer:
            found = await answer.json()
        page = Page(await self._http.ws_connect(found["webSocketDebuggerUrl"], max_msg_size=0))
        for domain in ("Page", "Network", "Runtime"):
            await page.call(f"{domain}.enable")
        await page.call("Page.navigate", url=address)
        return page


class Page:
    """One tab."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.carried = ""
        """What WebSockets have brought, without escape sequences."""
        self.statuses: list[tuple[str, int]] = []
        self._reading = asyncio.create_task(self._read())

    async def call(self, method: str, **given: Any) -> Any:
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": given})
        return await asyncio.wait_for(self._answers[number], scaled(30))

    async def _read(self) -> None:
        async for message in self._socket:
            found = message.json()
            if "id" in found:
                answer = self._answers.pop(found["id"])
                if "error" in found:
                    answer.set_exception(RuntimeError(str(found["error"])))
                else:
                    answer.set_result(found.get("result"))
            elif found["method"] == "Network.webSocketFrameReceived":
                frame = found["params"]["response"]
                if frame["opcode"] == 2:
                    drawn = base64.b64decode(frame["payloadData"]).decode("utf-8", "replace")
                    self.carried += _ESCAPES.sub("", drawn)
            elif found["method"] == "Network.responseReceived":
                response = found["params"]["response"]
                self.statuses.append((response["url"], response["status"]))

    async def value(self, expression: str) -> Any:
        """Evaluates JavaScript in the page; waits for a promise."""
        found = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        return found["result"].get("value")

    async def text(self) -> str:
        return await self.value("document.body.innerText") or ""

    async def shows(self, words: str) -> None:
        """Waits until the cockpit has drawn some words."""
        await until(lambda: words in self.carried, f"{words} is drawn")

    async def says(self, words: str) -> None:
        """Waits until the page itself has some words."""
        async with asyncio.timeout(scaled(20.0)):
            while words not in await self.text():
                await asyncio.sleep(0.05)

    async def press(self, *keys: str) -> None:
        for key in keys:
            text, code = _KEYS.get(key, (key, 0))
            given = {"key": key, "text": text} if text else {"key": key}
            more = {"windowsVirtualKeyCode": code} if code else {}
            await self.call("Input.dispatchKeyEvent", type="keyDown", **given, **more)
            await self.call("Input.dispatchKeyEvent", type="keyUp", key=key, **more)

    async def picture(self) -> bytes:
        return base64.b64decode((await self.call("Page.captureScreenshot"))["data"])

    async def close(self) -> None:
        """Closes the tab, as a person does."""
        with suppress(RuntimeError):
            await self.call("Page.close")
        self._reading.cancel()
        await self._socket.close()


async def until(predicate: Any, what: str, seconds: float = 20.0) -> None:
    """Waits until something is so."""
    loop = asyncio.get_running_loop()
    end = loop.time() + scaled(seconds)
    while not predicate():
        if loop.time() > end:
            raise AssertionError(f"still not so: {what}")
        await asyncio.sleep(0.02)
