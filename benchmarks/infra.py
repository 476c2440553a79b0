"""What a plan of infrastructure costs on a real terminal (a pty): python benchmarks/infra.py [--quick]

A plan of 200 resources, from the key of its screen until it is drawn, beside the first paint of the smallest Textual
app, in turns; and the same plan read from Terraform's JSON, beside the JSON parser alone.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _measuring import Report, parser
from cockpit import FLOOR, SMALLEST, appeared, leave
from podium.core.infra.saved import Saved
from podium.core.infra.terraform.plan_json import read

from tests.screens.machines.test_infra import changes
from tests.tui.seed import seed
from tests.tui.terminal import Terminal

RESOURCES = 200
# 0.3 s, where the smallest Textual app takes 0.15 s; and the parser's own time.
DRAWN, READ = 2.0, 40.0


def prepare(home: Path) -> None:
    """A seeded project whose only infrastructure has a plan that waits."""
    from podium.core.domain.infra.plan import InfraPlan

    seed(home, now=time.time()).close()
    file = home / "podium.yaml"
    file.write_text(file.read_text() + "\ninfra: {serving: {terraform: infra}}\n")
    now = time.time()
    plan = InfraPlan("serving", "Terraform", "0" * 64, now, now + 86_400, changes=tuple(changes(RESOURCES)))
    Saved(home / ".podium", "serving").keep(plan)


def drawn(home: Path) -> float:
    """From the key of the screen until the plan is painted."""
    with Terminal(["-m", "podium.tui", str(home)]) as terminal:
        appeared(terminal, "✓ ".encode())
        time.sleep(1.0)
        pressed = time.perf_counter()
        since = terminal.press("9")
        found = appeared(terminal, b"replica[", since) - pressed
        leave(terminal, "\x11")
    return found


def smallest() -> float:
    with Terminal(["-c", FLOOR]) as terminal:
        found = appeared(terminal, b"HELLO-FLOOR") - terminal.started
        leave(terminal, "\x11")
    return found


def document(number: int) -> Mapping[str, Any]:
    """A plan of many resources as `show -json` has it."""

    def one(index: int) -> Mapping[str, Any]:
        before = {"ami": "a", "tags": {f"t{each}": "old" for each in range(20)}, "key": "s"}
        after = {"ami": "b", "tags": {f"t{each}": "new" for each in range(20)}, "key": "t"}
        marks = {"key": True}
        change = {"actions": ["update"], "before": before, "after": after, "before_sensitive": marks}
        return {
            "address": f"aws_instance.replica[{index}]",
            "mode": "managed",
            "type": "aws_instance",
            "change": {**change, "after_sensitive": marks, "after_unknown": {}},
        }

    return {"format_version": "1.2", "resource_changes": [one(index) for index in range(number)]}


def timed(work: Any, times: int) -> float:
    found: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def main() -> int:
    options = parser(__doc__).parse_args()
    times = 1 if options.quick else 11
    report = Report()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "project"
        prepare(home)
        pairs = [(drawn(home), smallest()) for _ in range(times)]
        ours, floor = (statistics.median(each) for each in zip(*pairs, strict=True))
        report.compare("plan of 200 resources, key -> drawn", ours, f"{SMALLEST}: first paint", floor, most=DRAWN)
    text = json.dumps(document(RESOURCES))
    whole = timed(lambda: read(json.loads(text)), 20)
    parsed = timed(lambda: json.loads(text), 20)
    report.compare("the same, read from Terraform's JSON", whole, "json.loads", parsed, most=READ)
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
