"""The GPUs of this machine, as `nvidia-smi` tells of them."""

from __future__ import annotations

import shutil
import subprocess

from ..domain.frozen import Frozen

_TIMEOUT = 15.0
_FIELDS = ("index", "utilization.gpu", "memory.used", "memory.total", "temperature.gpu")
_MEBIBYTE = 1 << 20


class Gpu(Frozen):
    """A GPU at one moment. What the driver does not tell is None."""

    index: str
    """Its number, in the order of the PCI bus."""
    busy: float | None = None
    """The share of the last moments in which it computed, between 0 and 1."""
    used: int | None = None
    """Bytes of its memory that are in use."""
    total: int | None = None
    """Bytes of its memory."""
    celsius: float | None = None
    """Its temperature."""

    @property
    def words(self) -> str:
        """Returns `GPU 0: 87 % busy, 11.2 of 24.0 GiB, 71 °C`."""
        parts: list[str] = []
        if self.busy is not None:
            parts.append(f"{self.busy:.0%} busy".replace("%", " %"))
        if self.used is not None and self.total is not None:
            parts.append(f"{self.used / 2**30:.1f} of {self.total / 2**30:.1f} GiB")
        if self.celsius is not None:
            parts.append(f"{self.celsius:.0f} °C")
        return f"GPU {self.index}" + (f": {', '.join(parts)}" if parts else "")


def gpus() -> tuple[Gpu, ...]:
    """Returns those of this machine; none where there is no `nvidia-smi`, or it finds none. Takes a moment."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, timeout=_TIMEOUT, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(_gpu(line) for line in done.stdout.decode("utf-8", "replace").splitlines() if line.count(",") == 4)


def _gpu(line: str) -> Gpu:
    index, busy, used, total, celsius = (part.strip() for part in line.split(","))
    share, memory, whole = _number(busy), _number(used), _number(total)
    return Gpu(
        index,
        None if share is None else share / 100,
        None if memory is None else int(memory * _MEBIBYTE),
        None if whole is None else int(whole * _MEBIBYTE),
        _number(celsius),
    )


def _number(text: str) -> float | None:
    """Returns it as a number; None for `[N/A]` and the like."""
    try:
        return float(text)
    except ValueError:
        return None
