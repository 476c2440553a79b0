"""Writes `long.txt`, the tests that take a second or more, from what pytest has printed of them:

    PODIUM_TEST_TURNS=all PYTEST_ADDOPTS="--durations=0 --durations-min=0.2" make test | .venv/bin/python -m tests.runner.long

Set-up counts, too. Tests that were known before and did not run keep their seconds. turns.py draws from them.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterable

from .turns import MEASURED, measured

LEAST = 1.0  # seconds from which a test is a long one
HEAD = """\
# The tests that took at least a second, with their set-up, on two cores with three processes beside other work:
# seconds and id. How they compare is what counts.
# Written by `python -m tests.runner.long`; `PODIUM_TEST_LONG` leaves room for some of them (turns.py).
"""
_LINE = re.compile(r"^ *([0-9.]+)s (setup|call|teardown) +(tests/\S+\.py::.*)$")


def read(lines: Iterable[str]) -> dict[str, float]:
    """Returns the seconds of each test that pytest's table of durations names."""
    found: dict[str, float] = defaultdict(float)
    for line in lines:
        if match := _LINE.match(line.rstrip("\n")):
            found[match[3]] += float(match[1])
    return found


def written(seconds: dict[str, float]) -> str:
    long = sorted((name, took) for name, took in seconds.items() if took >= LEAST)
    return HEAD + "".join(f"{took:.1f} {name}\n" for name, took in long)


def main() -> None:
    before = measured() if MEASURED.exists() else {}
    MEASURED.write_text(written({**before, **read(sys.stdin)}), encoding="utf-8")


if __name__ == "__main__":
    main()
