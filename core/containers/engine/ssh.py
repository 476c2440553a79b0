"""An engine over SSH: the system's ssh forwards the engine's socket to a private socket on this machine. Each Podium
process runs one ssh process per engine. The docker package's alternatives are slower (a Python SSH library costs 15
ms a call, one ssh process per request 0.5 s), and the user's ssh already knows the keys, the agent, known hosts and
~/.ssh/config. ssh's keep-alive detects a broken connection within four seconds; the process then ends, and every
request on the socket fails immediately instead of hanging."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from ...child import EXEC_WITH_PARENT
from ...closing import Closing
from ...domain.text import clean
from ...errors import MissingExtra, PodiumError, Refused
from .address import Address
from .errors import EngineAway, NothingLeft

CONNECT_TIMEOUT = 15.0
_KEEPALIVE = ("ServerAliveInterval=1", "ServerAliveCountMax=3")
_PREFIX = "podium-ssh-"


class Tunnel(Closing):
    """An ssh process that is open until `close`; `socket` is where the other machine's engine answers. Raises
    Unreachable or Refused with ssh's own message if it cannot be opened."""

    def __init__(self, address: Address) -> None:
        program = shutil.which("ssh")
        if program is None:
            raise MissingExtra(
                "ssh is not installed, but the engine's address needs it", hint="install OpenSSH's client"
            )
        _sweep()
        self._directory = tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-")
        self.socket = Path(self._directory.name) / "engine.sock"
        self._address = address
        self._errors = Path(self._directory.name) / "ssh.err"
        try:
            self._process = self._start(program)
            self._wait()
        except BaseException:
            self.close()
            raise

    def _start(self, program: str) -> subprocess.Popen[bytes]:
        """Starts ssh from a thread that waits for its end, because the kernel takes the starting thread for ssh's
        parent."""
        address, command = self._address, self._command(program)
        handed: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()

        def keep() -> None:
            try:
                with self._errors.open("wb") as errors:
                    process = subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=errors,
                        start_new_session=True,
                    )
            except OSError as error:
                handed.put(error)
                return
            handed.put(process)
            process.wait()

        hint = "check this machine's free processes and memory"
        try:
            threading.Thread(target=keep, name=f"ssh {address.host}", daemon=True).start()
        except RuntimeError as error:
            raise NothingLeft(f"ssh cannot be started: {error}", hint=hint) from error
        started = handed.get()
        if isinstance(started, OSError):
            raise NothingLeft(f"ssh cannot be started: {started}", hint=hint)
        return started

    def _command(self, program: str) -> list[str]:
        """Returns the command of an ssh that forwards the socket, and ends with this process."""
        address = self._address
        settings = (
            "BatchMode=yes",
            "ExitOnForwardFailure=no",
            "StreamLocalBindMask=0177",
            f"ConnectTimeout={int(CONNECT_TIMEOUT) - 5}",
            "ControlPath=none",
            "ControlMaster=no",
            *_KEEPALIVE,
        )
        return [
            *(sys.executable, "-I", "-S", "-c", EXEC_WITH_PARENT, str(os.getpid()), program, "-nNT"),
            *(word for setting in settings for word in ("-o", setting)),
            *("-p", str(address.port)),
            *(("-l", address.user) if address.user else ()),
            *("-L", f"{self.socket}:{address.path}", "--", address.host),
        ]

    def _wait(self) -> None:
        deadline = time.monotonic() + CONNECT_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None:
                raise self.why()
            if time.monotonic() > deadline:
                # Forwards of the user's own configuration may fail, as they do where another ssh has them already; ours
                # has not come either.
                if self._errors.exists() and self._errors.stat().st_size:
                    raise self.why()
                raise EngineAway(
                    f"{self._address} does not answer within {CONNECT_TIMEOUT:g} s",
                    hint="check that the machine is running; try: ssh " + self._address.host,
                )
            time.sleep(0.01)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
            probe.connect(str(self.socket))
            return True
        return False

    def why(self, *, cut: bool = False) -> PodiumError:
        """Returns the error for ssh's end with its last message; `cut` is True if it had been connected."""
        try:
            text = clean(" ".join(self._errors.read_text(errors="replace").split()))[:400]
        except OSError:
            text = ""
        text = text or "ssh gave no reason"
        if cut:
            return EngineAway(
                f"the connection to {self._address} broke: {text}",
                hint="check that the machine is running; Podium reconnects automatically",
            )
        if "Permission denied" in text or "Host key verification failed" in text:
            hint = "log in by hand once (ssh …) to accept the host's key and to check that yours is accepted"
            return Refused(f"{self._address} refused the login: {text}", hint=hint)
        return EngineAway(
            f"{self._address} cannot be reached: {text}",
            hint="check that the machine is running and the address is right",
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ends(self, seconds: float) -> bool:
        """Tells whether ssh has ended, or ends within `seconds`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """Ends ssh and removes the socket's directory."""
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(2.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(2.0)
        self._directory.cleanup()


def _sweep() -> None:
    """Removes the directories of processes that were killed before they could do it."""
    base = Path(tempfile.gettempdir())
    for old in base.glob(f"{_PREFIX}*-*"):
        number = old.name.removeprefix(_PREFIX).partition("-")[0]
        with contextlib.suppress(OSError):
            if number.isdecimal() and old.stat().st_uid == os.getuid() and not _exists(int(number)):
                shutil.rmtree(old, ignore_errors=True)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
