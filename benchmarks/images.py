"""How long a serving image takes: the first, and again with a new model and the same requirements; beside `mlflow
models build-docker`.

    python benchmarks/images.py [--no-mlflow] [--rounds 3] [--json FILE]

An engine of its own (root and `dockerd` are needed), so that nothing that was built before helps, with one base
image for both: a bare Python with pip, under the name that MLflow's Dockerfile begins with. Packages come from PyPI.
Two versions of a small scikit-learn model whose requirements are the same. MLflow's Dockerfile also installs nginx
with apt-get, which this base has not: a stand-in answers that does nothing, which favours MLflow by what that takes.
Ends with 1 when a bound is missed: a rebuild takes at most a tenth of our own first build and of MLflow's build.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

BOUND = 0.1
VERSION = ".".join(map(str, sys.version_info[:3]))
BASE = f"python:{VERSION}-slim"


def base(api: Any, directory: Path) -> None:
    """A Python with pip and nothing else, and the stand-in for apt-get."""
    from tests.servers import images

    images._PACKAGES = ("pip",)  # type: ignore[assignment]
    root = directory / "root"
    changes = images._python(root)
    for library in (
        "libpthread",
        "libdl",
        "librt",
        "libutil",
        "libm",
    ):  # what wheels are linked with, and nothing in the base is
        for found in Path("/lib/x86_64-linux-gnu").glob(f"{library}.so.*"):
            images._copy(found, root / str(found).lstrip("/"))
    subprocess.run(["ldconfig", "-r", str(root)], check=True, timeout=60, capture_output=True)
    stand_in = root / "bin/apt-get"
    stand_in.write_text("#!/bin/sh\nexit 0\n")
    stand_in.chmod(0o755)
    (root / "etc/apt/apt.conf.d").mkdir(parents=True)
    archive = directory / "base.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(root, ".", filter=images._owned_by_root)
    repository, _, tag = BASE.rpartition(":")
    api.import_image(src=str(archive), repository=repository, tag=tag, changes=changes)


def register(home: Path, versions: int) -> list[str]:
    """The directories of the models, which MLflow wrote."""
    import mlflow
    from podium.core.config import load
    from podium.core.registry.prepare import prepare
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    project = load(home)
    prepare(project.mlflow, project.state)
    mlflow.set_tracking_uri(project.mlflow.tracking_uri)
    mlflow.set_experiment(project.mlflow.experiment)
    rows, truth = load_iris(return_X_y=True)
    for number in range(1, versions + 1):
        model = LogisticRegression(C=0.1 * number, max_iter=500).fit(rows, truth)
        with mlflow.start_run():
            mlflow.sklearn.log_model(model, name="model", input_example=rows[:2], registered_model_name="iris")
    return [mlflow.artifacts.download_artifacts(f"models:/iris/{number}") for number in range(1, versions + 1)]


def timed(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def ours(home: Path, address: str, rounds: int) -> tuple[float, list[float], int]:
    """(seconds of the first build, of each rebuild with the next version, bytes of the image)."""
    from podium.core.config import load
    from podium.core.containers.engine.address import parse
    from podium.core.journal import Journal
    from podium.core.registry.snapshot import refresh
    from podium.core.serving.image import build as image

    project = load(home)
    lines: list[str] = []
    with Journal.open(project.state / "journal.db") as journal:
        refresh(project, journal)

        def build(number: int) -> None:
            image.build(project, journal, number, say=lines.append, address=parse(address))

        try:
            first = timed(lambda: build(1))
            print(f"  first build: {first:.1f} s", flush=True)
            again = [timed(lambda n=number: build(n)) for number in range(2, rounds + 2)]
        except Exception:
            print("\n".join(lines[-40:]))
            raise
        return first, again, journal.images.of("iris")[0].size


def theirs(models: list[str], address: str) -> tuple[float, float, str]:
    """(seconds of the first build, of one with the next version, why there are none)."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "DOCKER_HOST": address, "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}
    seconds: list[float] = []
    for number, model in enumerate(models[:2], 1):
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "models",
            "build-docker",
            "-m",
            model,
            "-n",
            f"mlflow-iris:{number}",
            "--env-manager",
            "local",
        ]
        began = time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200, check=False)
        seconds.append(time.monotonic() - began)
        if done.returncode:
            words = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            return 0.0, 0.0, " · ".join(words[-3:])[-400:]
        print(f"  mlflow models build-docker, version {number}: {seconds[-1]:.1f} s", flush=True)
    return seconds[0], seconds[1], ""


def main() -> int:
    parser = argparse.ArgumentParser(description="A first and a repeated build of a serving image.")
    parser.add_argument("--no-mlflow", action="store_true")
    parser.add_argument("--rounds", type=int, default=3, help="rebuilds")
    parser.add_argument("--json", type=Path)
    options, _ = parser.parse_known_args()
    from tests.servers import dockerd

    missing = dockerd.missing()
    if missing:
        print(f"not measured: {missing}")
        return 0
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the engine ends with us
    with tempfile.TemporaryDirectory(prefix="podium-images-") as name, dockerd.Dockerd() as engine:
        import docker

        home = Path(name)
        with docker.APIClient(base_url=engine.address, timeout=300) as api:
            base(api, home / "base")
        (home / "podium.yaml").write_text(
            f"project: iris\nmlflow: {{model: iris}}\ndocker: {{host: '{engine.address}', base: '{BASE}', sbom:"
            " false}\npipelines: {release: {steps: {one: {run: 'true'}}}}\n"
        )
        models = register(home, options.rounds + 1)
        first, again, size = ours(home, engine.address, options.rounds)
        their_first, their_again, why = (0.0, 0.0, "left out") if options.no_mlflow else theirs(models, engine.address)
    rebuild = statistics.median(again)
    print(
        f"first build {first:.1f} s, {size / 1e6:.0f} MB; with a new model {rebuild:.2f} s"
        f" ({', '.join(f'{s:.2f}' for s in again)})"
    )
    ratios = {"rebuild ÷ first build": rebuild / first}
    if their_first:
        print(f"mlflow models build-docker: {their_first:.1f} s, with a new model {their_again:.1f} s")
        ratios |= {
            "rebuild ÷ MLflow's build with a new model": rebuild / their_again,
            "first build ÷ MLflow's first build": first / their_first,
        }
    else:
        print(f"mlflow models build-docker was not measured: {why}")
    for words, ratio in ratios.items():
        print(f"  {words}: {ratio:.3f}" + (f" (bound {BOUND})" if words.startswith("rebuild") else ""))
    if options.json:
        options.json.write_text(
            json.dumps(
                {"first": first, "again": again, "mlflow": [their_first, their_again], "ratios": ratios}, indent=1
            )
        )
    return 1 if any(ratio > BOUND for words, ratio in ratios.items() if words.startswith("rebuild")) else 0


if __name__ == "__main__":
    raise SystemExit(main())
