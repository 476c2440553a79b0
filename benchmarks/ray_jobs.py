"""Steps on Ray beside Ray's own: python benchmarks/ray_jobs.py [--cells 40] [--seconds 10] [--rounds 5] [--quick]

A real Ray of two nodes with two slots each (tests/servers/ray.py; PODIUM_RAY names its environment). One step that does
nothing, as `podium run`, beside `ray job submit` of the same command, whole processes in turns. Then a matrix of cells
that sleep, beside the same jobs submitted by a bare loop over the Jobs API: how well the slots are kept busy.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import httpx
from _measuring import Report, in_turns, parser, timing

from tests.servers import ray

STEP = 1.25  # times `ray job submit`, of which half a second is a quarter at least
CELLS = 1.15  # times the bare loop
AT_ONCE = 8
DONE = ("SUCCEEDED", "FAILED", "STOPPED")


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--cells", type=int, default=40)
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the cluster ends with us
    cells, seconds, rounds = (4, 1.0, 1) if chosen.quick else (chosen.cells, chosen.seconds, chosen.rounds)
    report = Report()
    program = ray.program()
    if program is None:
        report.not_measured("steps on Ray", f"{ray.VARIABLE} names no environment with Ray in it")
        return report.end()
    with tempfile.TemporaryDirectory(prefix="podium-ray-") as directory:
        home = Path(directory) / "project"
        home.mkdir()
        with ray.cluster(Path(directory) / "r") as cluster:
            _one(report, home, program, cluster.address, rounds)
            _cells(report, home, cluster.address, cells, seconds)
    return report.end()


def _one(report: Report, home: Path, program: Path, address: str, rounds: int) -> None:
    _project(home, address, "true", "")
    calls = {
        "podium": timing(lambda: _run([sys.executable, "-m", "podium.cli", "run", "main"], home)),
        "ray": timing(lambda: _run([str(program), "job", "submit", "--address", address, "--", "true"], home)),
    }
    calls["podium"]()  # the first sends the files
    found = in_turns(calls, rounds)
    report.compare("a run of one step", found["podium"], "`ray job submit`", found["ray"], most=STEP)
    report.figure("more than `ray job submit` itself", f"{found['podium'] - found['ray']:>17.2f} s")


def _cells(report: Report, home: Path, address: str, cells: int, seconds: float) -> None:
    numbers = ", ".join(map(str, range(cells)))
    _project(home, address, f"sleep {seconds:g}", f"matrix: {{cell: [{numbers}]}}, ")
    found = in_turns(
        {
            "loop": timing(lambda: _loop(address, cells, seconds)),
            "podium": timing(
                lambda: _run([sys.executable, "-m", "podium.cli", "run", "main", "--jobs", str(AT_ONCE)], home)
            ),
        },
        1,
    )
    what = f"{cells} cells that sleep {seconds:g} s on four slots"
    report.compare(what, found["podium"], "a bare loop over the Jobs API", found["loop"], most=CELLS)


def _project(home: Path, address: str, command: str, matrix: str) -> None:
    (home / "podium.yaml").write_text(
        f"project: bench\nray: {{address: {address!r}}}\nmlflow: {{tracking_uri: 'http://127.0.0.1:9'}}\n"
        f"pipelines: {{main: {{steps: {{one: {{executor: ray, {matrix}run: '{command}'}}}}}}}}\n"
    )


def _run(command: list[str], home: Path) -> None:
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {(done.stdout + done.stderr)[-2000:]}")


def _loop(address: str, cells: int, seconds: float) -> None:
    with httpx.Client(base_url=address, timeout=60) as client:
        waiting: set[str] = set()
        for _ in range(cells):
            name = f"bare-{uuid.uuid4().hex}"
            job = {"entrypoint": f"sleep {seconds:g}", "submission_id": name, "entrypoint_num_cpus": 1}
            client.post("/api/jobs/", json=job).raise_for_status()
            waiting.add(name)
        while waiting:
            time.sleep(0.2)
            waiting -= {each["submission_id"] for each in client.get("/api/jobs/").json() if each["status"] in DONE}


if __name__ == "__main__":
    raise SystemExit(main())
