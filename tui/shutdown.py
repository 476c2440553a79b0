"""How the cockpit ends when it is told to, or when its terminal is gone."""

from __future__ import annotations

import asyncio
import signal
from types import FrameType

from textual.app import App
from textual.driver import Driver

from .stalled_terminal import LineDriver

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class EndingApp(App[int]):
    def get_driver_class(self) -> type[Driver]:
        return LineDriver

    def handle_signals(self) -> None:
        """By default these end the process with the terminal left raw."""
        if self.is_headless:
            return
        loop = asyncio.get_running_loop()

        def signalled(number: int, frame: FrameType | None) -> None:
            # Not the loop's own handlers: the loop stands still while the terminal takes nothing.
            if isinstance(self._driver, LineDriver):
                self._driver.line.hurry()
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._signalled, number)

        for number in ENDING:
            signal.signal(number, signalled)

    def end_if_cut_off(self) -> bool:
        """Whether nobody is at the terminal any more; then this is the end."""
        if isinstance(self._driver, LineDriver) and self._driver.line.gone():
            self._signalled(signal.SIGHUP)
            return True
        return False

    def _signalled(self, number: int) -> None:
        self.exit(0, return_code=128 + number)
