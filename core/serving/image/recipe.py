"""What goes into a serving image: two Dockerfiles and their contexts.

Only image names, which are checked, are written into a Dockerfile; everything else of a model or of podium.yaml goes
in as files, build arguments and labels. The first image has the dependencies and is found by its key even if the
builder's cache is gone; the second adds the code and then the model, so that a new model with the same requirements
is one new layer. Directories are copied onto `/` with all their parents in the context, because a directory that the
builder makes by itself gets the time of the build, which changes the layer's digest each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...containers.engine import labels as names
from ...containers.images.context import BuildContext
from ...domain.models import Version
from ...errors import NotFound, UsageError
from ...version import VERSION
from .requirements import Requirements

PORT = 8080
USER = 10001
MODEL = "/opt/podium/model"
PYTHON = "/opt/podium/venv/bin/python"
CAPTURE = "/var/lib/podium/capture"
# More than this in a wheels directory is a mistake, not a set of wheels.
_MAX_WHEELS = 2_000

_DEPENDENCIES_DOCKERFILE = """\
FROM {base} AS build
USER 0:0
COPY build/ /opt/podium/build/
RUN ["python3", "-I", "/opt/podium/build/install.py"]
USER 10001:10001

FROM {base}
USER 0:0
COPY --from=build --chown=10001:10001 /var/lib/podium/ /var/lib/podium/
COPY --from=build /opt/podium/ /opt/podium/
USER 10001:10001
"""

_SERVING_DOCKERFILE = """\
FROM {dependencies}
ENV HOME=/tmp PYTHONPATH=/opt/podium/code PYTHONPYCACHEPREFIX=/opt/podium/pycache PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \\
    MLFLOW_DISABLE_TELEMETRY=true GIT_PYTHON_REFRESH=quiet MPLCONFIGDIR=/tmp
USER 10001:10001
WORKDIR /
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \\
    CMD ["/opt/podium/venv/bin/python", "-S", "/opt/podium/code/podium/core/serving/health.py", "8080"]
ENTRYPOINT ["/opt/podium/venv/bin/python", "-m", "podium.core.serving.server", "--host", "0.0.0.0", "--port", "8080", "--model", "/opt/podium/model"]
CMD []
COPY code/ /
COPY model/ /
ARG PODIUM_MODEL
ARG PODIUM_VERSION
ARG PODIUM_DIGEST
ARG PODIUM_COMMIT
ENV PODIUM_SERVING_MODEL_NAME=$PODIUM_MODEL PODIUM_SERVING_VERSION=$PODIUM_VERSION PODIUM_SERVING_DIGEST=$PODIUM_DIGEST PODIUM_SERVING_COMMIT=$PODIUM_COMMIT
"""

# All that a replica imports of Podium.
_CODE_FILES = ("__init__.py", "serving/__init__.py", *(f"serving/{name}.py" for name in (
    "app", "apart", "batching", "forms/__init__", "forms/frames", "forms/shape", "guard", "health", "metrics", "one_write", "options", "predicting", "recorder",
    "redaction", "requests", "rotated", "scoring", "senders", "server", "standby", "trial",
)))  # fmt: skip


def dependencies_dockerfile(base: str) -> str:
    return _DEPENDENCIES_DOCKERFILE.format(base=base)


def serving_dockerfile(dependencies: str) -> str:
    return _SERVING_DOCKERFILE.format(dependencies=dependencies)


def dependencies_context(base: str, requirements: Requirements, wheels: Path | None) -> BuildContext:
    import json

    context = BuildContext()
    context.add("Dockerfile", dependencies_dockerfile(base).encode())
    context.add("build/install.py", installer())
    context.add("build/requirements.txt", requirements.text.encode("utf-8", "surrogateescape"))
    context.add("build/modules.json", json.dumps(requirements.modules).encode())
    if requirements.constraints:
        context.add("build/constraints.txt", requirements.constraints.encode("utf-8", "surrogateescape"))
    for path in wheel_files(wheels) if wheels is not None else ():
        context.add(f"build/wheels/{path.name}", path)
    if wheels is not None:
        context.directory("build/wheels")
    return context


def serving_context(dependencies: str, files: Path) -> BuildContext:
    context = BuildContext()
    context.add("Dockerfile", serving_dockerfile(dependencies).encode())
    core = Path(__file__).resolve().parents[2]
    for name in _CODE_FILES:
        context.add(f"code/opt/podium/code/podium/core/{name}", (core / name).resolve())
    context.tree("model/opt/podium/model", files)
    return context


def installer() -> bytes:
    return Path(__file__).with_name("install.py").read_bytes()


def wheel_files(wheels: Path) -> list[Path]:
    """Returns the wheels and archives in a directory, by name. Raises NotFound if it is not a directory or is empty."""
    if not wheels.is_dir():
        raise NotFound(
            f"docker.wheels: {wheels} is not a directory",
            hint="fill one with `pip download -d wheels -r requirements.txt`",
        )
    found = sorted(
        path for path in wheels.iterdir() if path.is_file() and path.name.endswith((".whl", ".tar.gz", ".zip"))
    )
    if not found:
        raise NotFound(
            f"docker.wheels: {wheels} holds no wheel", hint="fill it with `pip download -d wheels -r requirements.txt`"
        )
    if len(found) > _MAX_WHEELS:
        raise UsageError(f"docker.wheels: {wheels} holds {len(found)} files; at most {_MAX_WHEELS} are sent")
    return found


def labels(version: Version, digest: str, base: str, base_id: str, project: str) -> dict[str, str]:
    """Returns the lineage row as labels, in Podium's names and in those of the Open Container Initiative."""
    made = {
        names.MODEL: version.model,
        names.VERSION: str(version.version),
        names.COMMIT: version.commit,
        names.RUN: str(version.run_id or ""),
        names.MLFLOW_RUN: version.mlflow_run,
        names.DIGEST: digest,
        "org.opencontainers.image.title": version.model,
        "org.opencontainers.image.version": str(version.version),
        "org.opencontainers.image.revision": version.commit,
        "org.opencontainers.image.description": (
            f"Version {version.version} of the model {version.model} of {project}, served by Podium {VERSION}"
        ),
        "org.opencontainers.image.base.name": base,
        "org.opencontainers.image.base.digest": base_id,
    }
    return {key: value for key, value in made.items() if value}


def arguments(version: Version, digest: str) -> Mapping[str, str]:
    """Returns what a container reports about itself if it is started by hand."""
    return {
        "PODIUM_MODEL": version.model,
        "PODIUM_VERSION": str(version.version),
        "PODIUM_DIGEST": digest,
        "PODIUM_COMMIT": version.commit,
    }
