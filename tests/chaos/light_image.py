"""A serving image that starts in a tenth of a second: the light server on a bare Python, labelled as `uses: image`
labels a version's."""

from __future__ import annotations

import compileall
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tests.runner.scale import scaled
from tests.servers import images

BASE = "podium-test/light:1"
SERVER = Path(__file__).resolve().parents[1] / "delivery/light_server.py"
# Only what the server imports, compiled: the image is 20 MB and its server is up in a tenth of a second.
_IMPORTED = """
import sys, argparse, base64, contextlib, itertools, json, http.client, http.server, pathlib, queue, signal, socket, threading, traceback
import encodings.utf_8, encodings.ascii, encodings.latin_1, encodings.idna
print(*sorted({m.__file__ for m in sys.modules.values() if getattr(m, "__file__", None)}), sep="\\n")
"""
# Uid, working directory, port and way to end are those of a real serving image.
_CHANGES = (
    "ENV PATH=/usr/local/bin:/usr/bin:/bin",
    "USER 10001:10001",
    "WORKDIR /",
    "EXPOSE 8080",
    (
        'ENTRYPOINT ["python3", "-S", "/opt/podium/light_server.py", "--host", "0.0.0.0", "--port", "8080", "--model",'
        ' "/opt/podium/model"]'
    ),
    "CMD []",
)


def base(api: Any) -> str:
    """The image without a model, made where it is missing."""
    stamp = hashlib.sha256(sys.version.encode() + SERVER.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:16]
    if not any((image.get("Labels") or {}).get("podium-test.stamp") == stamp for image in api.images(BASE)):
        with tempfile.TemporaryDirectory(prefix="podium-image-") as directory:
            root = Path(directory) / "root"
            _tree(root)
            archive = Path(directory) / "image.tar"
            with tarfile.open(archive, "w") as tar:
                tar.add(root, ".", filter=images._owned_by_root)
            repository, _, tag = BASE.rpartition(":")
            answer = api.import_image(
                src=str(archive),
                repository=repository,
                tag=tag,
                changes=[*_CHANGES, f"LABEL podium-test.stamp={stamp}"],
            )
            assert '"error"' not in str(answer), answer
    return BASE


def _tree(root: Path) -> None:
    images._skeleton(root)
    prefix = Path(sys.base_prefix)
    target = root / "usr/local"
    needed = subprocess.run(
        [sys.executable, "-S", "-E", "-c", _IMPORTED], capture_output=True, text=True, timeout=scaled(30), check=True
    ).stdout.split()
    for path in map(Path, needed):
        images._copy(path, target / path.relative_to(prefix))
    compileall.compile_dir(target, quiet=1, stripdir=root, prependdir="/")
    for library in (prefix / "lib").glob("libpython3*.so.*"):
        images._copy(library, target / "lib" / library.name)
    images._copy(Path(sys.executable).resolve(), target / "bin/python3")
    images._copy(SERVER, root / "opt/podium/light_server.py")
    (root / "opt/podium/venv/bin").mkdir(parents=True)
    (root / "opt/podium/venv/bin/python").symlink_to("/usr/local/bin/python3")
    images._programs(root, ("sh", "sleep", "cat"))
    images._libraries(root, python=target / "lib")


def version(api: Any, tag: str, behaviour: bytes, labels: dict[str, str], environment: dict[str, str]) -> str:
    """The image of one version; its id."""
    lines = [f"FROM {base(api)}", "STOPSIGNAL SIGTERM", "COPY behaviour.json /opt/podium/model/behaviour.json"]
    lines += [f'LABEL "{key}"="{value}"' for key, value in labels.items()]
    lines += [f"ENV {key}={value}" for key, value in environment.items()]
    context = io.BytesIO(images.archive({"Dockerfile": "\n".join(lines).encode(), "behaviour.json": behaviour}))
    answers = [*api.build(fileobj=context, custom_context=True, tag=tag, rm=True, decode=True, nocache=True)]
    assert not any("error" in answer for answer in answers), answers[-3:]
    return str(api.inspect_image(tag)["Id"])
