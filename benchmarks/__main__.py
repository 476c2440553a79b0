"""`make bench`: every benchmark in turn, each a script of its own that also runs alone. Ends with 1 when one of them
missed its bound."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    # Timings of uncompiled Python say little about an installed Podium.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    missed: list[str] = []
    for script in sorted(HERE.glob("*.py")):
        if script.name.startswith("_"):
            continue
        print(f"\n== {script.stem}", flush=True)
        if subprocess.run([sys.executable, str(script), *sys.argv[1:]], env=environment, check=False).returncode:
            missed.append(script.stem)
    print(f"\nbounds missed in: {', '.join(missed)}" if missed else "\nevery bound was met")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
