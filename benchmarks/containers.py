"""How fast a container's output gets into the step's log, beside `docker logs -f > file` of the same container command.

    python benchmarks/containers.py [--lines 300000] [--rounds 3]

The step's log is more than a copy: each line gets its time and stream, is masked and indexed, and the file is
bounded. Timed is, for both, from before the container is made until its last line is in the file. Ends with 1 when
Podium takes fewer than half of docker's lines a second.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

BOUND = 0.5
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


def main() -> int:
    parser = argparse.ArgumentParser(description="Log lines a second from a container.")
    parser.add_argument("--lines", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    options, _ = parser.parse_known_args()
    import docker

    from tests.servers import dockerd, images

    if not dockerd.answers(dockerd.LOCAL) or shutil.which("docker") is None:
        print("not measured: no Docker engine answers, or its command line is not installed")
        return 0
    command = f"seq -f '{TEXT}' {options.lines}"
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory(prefix="podium-containers-") as name, docker.APIClient(timeout=60) as api:
        home = Path(name)
        image = images.ensure(api, images.SHELL)
        (home / "podium.yaml").write_text(PODIUM_YAML.format(image=image, command=json.dumps(command)))
        os.environ.pop("DOCKER_HOST", None)
        for number in range(options.rounds):
            theirs.append(docker_rate(api, image, command, home / "docker.log", options.lines))
            ours.append(podium_rate(home, options.lines))
            print(
                f"  round {number + 1}: podium {ours[-1]:,.0f} lines/s, docker logs -f {theirs[-1]:,.0f} lines/s",
                flush=True,
            )
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(
        f"container log → step log: {statistics.median(ours):,.0f} lines/s; docker logs -f > file:"
        f" {statistics.median(theirs):,.0f} lines/s"
    )
    print(f"  podium ÷ docker logs: {ratio:.2f} (bound {BOUND})")
    return 1 if ratio < BOUND else 0


if __name__ == "__main__":
    raise SystemExit(main())
