"""How the cockpit ends when it is told to, or when its terminal is gone."""

from __future__ import annotations

import asyncio
import signal
from types import FrameType

from textual.app import App
from textual.driver import Driver
from textual.worker import WorkerFailed

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

    def _handle_exception(self, error: Exception) -> None:
        """Ends at an error that nobody foresaw, and leaves it to whoever opened the cockpit. Textual would print its
        traceback with the values of local variables: secrets, and text from outside."""
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._close_messages_no_wait()

    @property
    def failure(self) -> BaseException | None:
        """The error that ended it, None where a person or a signal did."""
        found = self._exception
        return found.error if isinstance(found, WorkerFailed) else found

    def end_if_cut_off(self) -> bool:
        """Whether nobody is at the terminal any more; then this is the end."""
        if isinstance(self._driver, LineDriver) and self._driver.line.gone():
            self._signalled(signal.SIGHUP)
            return True
        return False

    def _signalled(self, number: int) -> None:
        self.exit(0, return_code=128 + number)
