"""An interactive shell in a running container: started beside its main process and ended with the client that opened
it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from ...errors import PodiumError
from .client import Engine
from .hijack import hijack

_CHUNK_BYTES = 1 << 16
_SHELL = ["/bin/sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"]


class ExecShell:
    """Implements `ShellSession` of core/domain/engines/shells.py, and closes the engine at its end. Raises NotFound if
    there is no such container, Refused if it is not running. `env` is added to the container's environment for this
    shell alone; the engine does not keep it."""

    def __init__(
        self,
        engine: Engine,
        container: str,
        *,
        words: str,
        terminal: str = "xterm-256color",
        env: Mapping[str, str] | None = None,
        directory: str = "",
    ) -> None:
        self.words = words
        self._engine = engine
        try:
            with engine.doing(f"opening a shell in {container[:40]}"):
                environment = {**(env or {}), "TERM": terminal}
                made = engine.api.exec_create(
                    container, _SHELL, stdin=True, tty=True, environment=environment, workdir=directory or None
                )
            self._exec = str(made["Id"])
            self._line, self._early = hijack(
                self._engine, f"/exec/{self._exec}/start", what="opening a shell", body={"Detach": False, "Tty": True}
            )
        except BaseException:
            self._engine.close()
            raise

    def fileno(self) -> int:
        return self._line.fileno()

    def read(self) -> bytes:
        """Returns the bytes that have arrived from the shell."""
        if self._early:
            early, self._early = self._early, b""
            return early
        try:
            return self._line.recv(_CHUNK_BYTES)
        except OSError:
            return b""

    def pending(self) -> bool:
        # Over TLS more may have been decrypted than was read.
        return bool(self._early) or bool(getattr(self._line, "pending", int)())

    def write(self, data: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            self._line.sendall(data)

    def resize(self, rows: int, columns: int) -> None:
        # A resize while the shell ends is no error.
        with suppress(PodiumError), self._engine.doing("resizing the shell's terminal"):
            self._engine.api.exec_resize(self._exec, height=rows, width=columns)

    def close(self) -> None:
        self._line.close()
        self._engine.close()
