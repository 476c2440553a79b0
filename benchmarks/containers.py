"""How fast a container's output gets into the step's log, beside `docker logs -f > file` of the same container command.

    python benchmarks/containers.py [--lines 300000] [--rounds 3] [--quick]

The step's log is more than a copy: each line gets its time and stream, is masked and indexed, and the file is
bounded. Timed is, for both, from before the container is made until its last line is in the file.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _measuring import Report, in_turns, parser, per_second

# Of the lines a second of `docker logs -f`.
BOUND = 0.5
LOG = "a container's log into the step's log"
TEXT = "epoch %.0f: loss 0.6931471805599453 accuracy 0.8437500 lr 0.00100000 elapsed 12.345 s"
PODIUM_YAML = """\
project: logs
pipelines:
  talk: {{steps: {{talk: {{image: "{image}", run: {command}, cache: false}}}}}}
"""


def podium_rate(home: Path, lines: int) -> float:
    """Lines a second into the step's log."""
    from podium.core.cockpit import Cockpit

    with_path = [sys.executable, "-m", "podium.cli", "run", "talk", "-q", "-C", str(home)]
    done = subprocess.run(with_path, capture_output=True, text=True, timeout=600, check=False)
    cockpit = Cockpit.open(home)
    try:
        run = cockpit.runs.list(limit=1)[0]
        [step] = cockpit.runs.steps(run.id)
        log = cockpit.runs.log(run.id, "talk")
    finally:
        cockpit.close()
    if str(step.state) != "succeeded" or step.started is None or step.ended is None:
        raise SystemExit(f"the step ended {step.state}: {step.message}\n{done.stdout[-500:]}{done.stderr[-1500:]}")
    with log.open("rb") as file:
        there = sum(b"epoch " in line and b"$ " not in line[:40] for line in file)
    if there != lines:
        raise SystemExit(f"{there} of {lines} lines are in {log}")
    return lines / (step.ended - step.started)


def docker_rate(api: Any, image: str, command: str, file: Path, lines: int) -> float:
    """The container stays after it has said everything: `docker logs -f` of this engine ends with it, whatever it
    has not read yet."""
    began = time.monotonic()
    whole = ["docker", "run", "-d", image, "sh", "-c", f"{command}; sleep 600"]
    made = subprocess.run(whole, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    last = (TEXT % lines).encode() + b"\n"
    try:
        with file.open("wb") as out:
            follower = subprocess.Popen(["docker", "logs", "-f", made], stdout=out)
        try:
            while not _ends_with(file, last):
                if time.monotonic() - began > 600:
                    raise SystemExit(f"docker logs gave no last line within 10 minutes: {file.stat().st_size} bytes")
                time.sleep(0.005)
            seconds = time.monotonic() - began
        finally:
            follower.kill()
            follower.wait()
    finally:
        api.remove_container(made, force=True)
    with file.open("rb") as found:
        there = sum(1 for _ in found)
    if there != lines:
        raise SystemExit(f"docker logs gave {there} of {lines} lines")
    return lines / seconds


def _ends_with(file: Path, text: bytes) -> bool:
    with file.open("rb") as found:
        found.seek(max(0, file.stat().st_size - len(text)))
        return found.read() == text


def measure(report: Report, lines: int, rounds: int) -> None:
    import docker

    from tests.servers import images

    command = f"seq -f '{TEXT}' {lines}"
    with tempfile.TemporaryDirectory(prefix="podium-containers-") as name, docker.APIClient(timeout=60) as api:
        home = Path(name)
        image = images.ensure(api, images.SHELL)
        (home / "podium.yaml").write_text(PODIUM_YAML.format(image=image, command=json.dumps(command)))
        os.environ.pop("DOCKER_HOST", None)
        calls = {
            "docker": lambda: docker_rate(api, image, command, home / "docker.log", lines),
            "podium": lambda: podium_rate(home, lines),
        }
        found = in_turns(calls, rounds)
    rate = per_second("lines")
    report.compare(LOG, found["podium"], "docker logs -f >file", found["docker"], least=BOUND, show=rate)


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--lines", type=int, default=300_000)
    options_of.add_argument("--rounds", type=int, default=3)
    options = options_of.parse_args()
    lines, rounds = (2000, 1) if options.quick else (options.lines, options.rounds)
    from tests.servers import dockerd

    report = Report()
    if not dockerd.answers(dockerd.LOCAL):
        report.not_measured(LOG, "no Docker engine answers")
    elif shutil.which("docker") is None:
        report.not_measured(LOG, "docker's command line is not installed")
    else:
        measure(report, lines, rounds)
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
