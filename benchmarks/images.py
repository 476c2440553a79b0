"""How long a serving image takes: the first, and again with a new model and the same requirements; beside `mlflow
models build-docker`.

    python benchmarks/images.py [--no-mlflow] [--rounds 3] [--quick]

An engine of its own (root and `dockerd` are needed), so that nothing that was built before helps, with one base
image for both: a bare Python with pip, under the name that MLflow's Dockerfile begins with. Packages come from PyPI.
Two versions of a small scikit-learn model whose requirements are the same. MLflow's Dockerfile also installs nginx
with apt-get, which this base has not: a stand-in answers that does nothing, which favours MLflow by what that takes.
With --quick the machine's engine builds, on the base image of the tests, which has the packages already.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from _measuring import Report, cost, parser, timed

# A rebuild, of our own first build and of MLflow's build with a new model.
BOUND = 0.1
REBUILD, FIRST = "a build with a new model", "the first build"
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
            again = [timed(lambda n=number: build(n)) for number in range(2, rounds + 2)]
        except Exception:
            print("\n".join(lines[-40:]))
            raise
        return first, again, journal.images.of("iris")[0].size


def theirs(models: list[str], address: str) -> list[float]:
    """Seconds of the first build and of one with the next version; SystemExit with MLflow's last words."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    taken: list[float] = []
    for number, model in enumerate(models[:2], 1):
        command = [sys.executable, "-m", "mlflow", "models", "build-docker", "-m", model]
        command += ["-n", f"mlflow-iris:{number}", "--env-manager", "local"]
        taken.append(cost(command, env={"DOCKER_HOST": address, "PATH": path}).seconds)
    return taken


def write(home: Path, address: str, image: str) -> None:
    (home / "podium.yaml").write_text(
        f"project: iris\nmlflow: {{model: iris}}\ndocker: {{host: '{address}', base: '{image}', sbom: false}}\n"
        "pipelines: {release: {steps: {one: {run: 'true'}}}}\n"
    )


def whole(report: Report, home: Path, rounds: int, *, mlflow: bool) -> None:
    """Ours and MLflow's on an engine of their own."""
    import docker

    from tests.servers import dockerd

    if why := dockerd.missing():
        return report.not_measured(REBUILD, why)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the engine ends with us
    with dockerd.Dockerd() as engine:
        with docker.APIClient(base_url=engine.address, timeout=300) as api:
            base(api, home / "base")
        write(home, engine.address, BASE)
        models = register(home, rounds + 1)
        first, again, size = ours(home, engine.address, rounds)
        rebuild = statistics.median(again)
        report.compare(f"{REBUILD}, {size / 1e6:.0f} MB", rebuild, FIRST, first, most=BOUND)
        peer = "`mlflow models build-docker`"
        try:
            if not mlflow:
                raise SystemExit("it was left out")
            their_first, their_again = theirs(models, engine.address)
        except SystemExit as error:
            return report.not_measured(f"{REBUILD}, beside {peer}", " · ".join(str(error).split("\n")[-3:])[-400:])
    report.compare(REBUILD, rebuild, peer, their_again, most=BOUND)
    return report.compare(FIRST, first, peer, their_first)


def smallest(report: Report, home: Path) -> None:
    """Ours alone, on the machine's engine."""
    import docker
    from podium.core.containers.engine import labels

    from tests.servers import dockerd, images

    if not dockerd.answers(dockerd.LOCAL):
        return report.not_measured(REBUILD, "no Docker engine answers")
    address = f"unix://{dockerd.LOCAL}"
    with docker.APIClient(base_url=address, timeout=120) as api:
        write(home, address, images.ensure(api, images.PYTHON))
        register(home, 2)
        try:
            first, [again], _ = ours(home, address, 1)
        finally:
            for image in api.images(filters={"label": f"{labels.HOME}={labels.home_id(home)}"}):
                api.remove_image(image["Id"], force=True)
    report.compare(REBUILD, again, FIRST, first)
    return report.not_measured(f"{REBUILD}, beside MLflow's", "it is left out with --quick")


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--no-mlflow", action="store_true")
    options_of.add_argument("--rounds", type=int, default=3, help="rebuilds")
    options = options_of.parse_args()
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    report = Report()
    with tempfile.TemporaryDirectory(prefix="podium-images-") as name:
        if options.quick:
            smallest(report, Path(name))
        else:
            whole(report, Path(name), options.rounds, mlflow=not options.no_mlflow)
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
