"""What a version's image installs: the model's requirements, as MLflow wrote them, and what serving adds.

MLflow is installed as `mlflow-skinny`, the same code and version without the tracking server's dependencies (and
half the size), with pandas and numpy, which scoring always uses. A model that turns out to need more gets the full
MLflow (build.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import yaml

from ...beneath import Directory
from ...domain.text import clean
from ...errors import NotFound, Refused, RunFailed
from ...logs.masking import without_user

SERVING = (
    "uvicorn>=0.30,<1",
    "httptools>=0.6,<1",
    "uvloop>=0.21,<1; sys_platform != 'win32' and implementation_name == 'cpython'",
)
_SCORING = ("pandas", "numpy")
# What serving imports before and while it loads a model.
_MODULES = (
    "encodings.idna",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.loops.uvloop",
    "uvloop",
    "mlflow.pyfunc.scoring_server",
    "pandas",
    "numpy",
)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_URL = re.compile(r"(?<![a-z0-9+])[a-z0-9+]+://[^\s'\"]+", re.IGNORECASE)
_OPTIONS = (
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--pre",
    "--prefer-binary",
    "--no-binary",
    "--only-binary",
    "--trusted-host",
)
# Options that name another place than the public index.
_PLACES = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links")
# A version that no public index has: one of a build (`+cpu`), or MLflow of its repository.
_LOCAL = re.compile(r"===?\s*[^\s,;]*\+[^\s,;]+")
_UNPUBLISHED = re.compile(r"mlflow(-skinny)?\s*(\[[^\]]*\])?\s*===?\s*[^\s,;]*\.dev", re.IGNORECASE)
_CONSTRAINTS = ("-c", "--constraint")
MAX_BYTES = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Requirements:
    """`text` is the requirements file, `constraints` the constraints file (empty for none), `modules` what should be
    compiled ahead. `whole` installs the full MLflow."""

    text: str
    constraints: str
    modules: tuple[str, ...]
    whole: bool

    def key(self, *more: str) -> str:
        """Returns 16 hex digits that identify all of it and `more`."""
        parts = (self.text, self.constraints, *self.modules, *more)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def of_model(files: Path, *, whole: bool = False, wheels: bool = False) -> Requirements:
    """Returns the requirements of the model in the directory `files`; `wheels` says that they are installed from a
    directory of wheels. Raises NotFound if MLflow wrote none, RunFailed for a line that no image can install, Refused
    for one that contains a password."""
    lines, described = _lines(files), _described(files)
    made: list[str] = []
    for line in lines:
        made += _checked(line, files, whole=whole)
    names = {_normal(match[0]) for line in made if (match := _NAME.match(line))}
    if not names & {"mlflow", "mlflow-skinny"}:
        version = str(described.get("mlflow_version", ""))
        made += _mlflow(f"mlflow=={version}" if re.fullmatch(r"[0-9][0-9A-Za-z.]*", version) else "mlflow", whole=whole)
    made += [
        line for line in (*(() if whole else _SCORING), *SERVING) if _normal(re.split(r"[<>=;]", line)[0]) not in names
    ]
    constraints = _read(files / "constraints.txt") if any(line.split()[0] in _CONSTRAINTS for line in made) else ""
    if not wheels and not any(re.split(r"[\s=]", line, maxsplit=1)[0] in _PLACES for line in made):
        _refuse_unpublished((*made, *constraints.splitlines()))
    return Requirements("\n".join(dict.fromkeys(made)) + "\n", constraints, _modules(described, names), whole)


def _refuse_unpublished(lines: Iterable[str]) -> None:
    """Raises RunFailed for a version that the public index cannot have: pip would say so minutes later."""
    for line in lines:
        if "://" not in line and (_LOCAL.search(line) or _UNPUBLISHED.match(line)):
            raise RunFailed(
                f"the model's requirements name a version that the package index does not have: {clean(line)[:120]}",
                hint="put its wheel, and the others, into docker.wheels; or log the model with the public version, or"
                " with an --extra-index-url that has this one",
            )


def _lines(files: Path) -> list[str]:
    path = files / "requirements.txt"
    if path.is_file():
        text = _read(path).replace("\\\n", " ")
        stripped = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in text.splitlines())
        return [line for line in stripped if line]
    if not (files / "MLmodel").is_file():
        raise NotFound(
            f"{files} contains no MLflow model",
            hint="delete its files, and Podium fetches them again",
        )
    return []


def _checked(line: str, files: Path, *, whole: bool) -> list[str]:
    """Returns a line as it is installed. The result is data: the file is copied into the image and never put into a
    command."""
    shown = clean(without_user(line))[:120]
    for url in cast("list[str]", _URL.findall(line)):
        parts = urlsplit(url)
        if parts.password or (parts.username and parts.username != "git"):
            hint = (
                "an image keeps what it is built from; take the password out and use docker.wheels (pip download) for"
                " private packages"
            )
            raise Refused(f"the model's requirements contain a password: {shown}", hint=hint)
    first = re.split(r"[\s=]", line, maxsplit=1)[0]
    if first in _CONSTRAINTS:
        if re.split(r"[\s=]+", line, maxsplit=1)[-1] != "constraints.txt" or not (files / "constraints.txt").is_file():
            raise RunFailed(
                f"the model's requirements name a file that is not beside them: {shown}",
                hint="put the constraints into constraints.txt, the only such file that MLflow keeps",
            )
        return [line]
    if line.startswith("-"):
        if first not in _OPTIONS:
            raise RunFailed(
                f"the model's requirements contain an option that an image build does not support: {shown}",
                hint="log the model with plain package names",
            )
        return [line]
    if _names_a_file(line):
        hint = (
            "files of the training machine are not in the image; put the wheel into docker.wheels and name the package"
        )
        raise RunFailed(f"the model's requirements name a file: {shown}", hint=hint)
    match = _NAME.match(line)
    return _mlflow(line, whole=whole) if match and _normal(match[0]) == "mlflow" and "://" not in line else [line]


def _names_a_file(line: str) -> bool:
    if re.match(r"(git\+|https?:)", line):
        return False
    path = re.match(r"[^\s@\[;]*[/\\]", line) or (line.endswith((".whl", ".tar.gz", ".zip")) and "://" not in line)
    return not _NAME.match(line) or bool(path) or "file:" in line


def _mlflow(line: str, *, whole: bool) -> list[str]:
    """Returns the skinny variant of `mlflow==1`; with extras, as in `mlflow[extras]==1`, the full one was asked for."""
    return [line] if whole or "[" in line else [f"mlflow-skinny{line[len('mlflow') :]}"]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _described(files: Path) -> Mapping[str, Any]:
    try:
        found = yaml.load(_read(files / "MLmodel"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    except (yaml.YAMLError, NotFound):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def loader(files: Path) -> str:
    """Returns the module that loads the model, such as `mlflow.sklearn`; empty if the model does not say."""
    return _loader(_described(files))


def python(files: Path) -> str:
    """Returns the Python version that the model was made with, such as `3.11`; empty if the model does not say."""
    version = re.match(r"\d+\.\d+", str(_function(_described(files)).get("python_version", "")))
    return version[0] if version else ""


def _loader(described: Mapping[str, Any]) -> str:
    return str(_function(described).get("loader_module", ""))


def _function(described: Mapping[str, Any]) -> Mapping[str, Any]:
    flavours = described.get("flavors")
    function: Any = cast("dict[str, Any]", flavours).get("python_function") if isinstance(flavours, dict) else None
    return cast("dict[str, Any]", function) if isinstance(function, dict) else {}


def _modules(described: Mapping[str, Any], packages: Collection[str]) -> tuple[str, ...]:
    """Returns the modules worth compiling: the flavour's, whose loader imports the library that the model was made
    with, and those of `packages` whose module has the package's name."""
    found = _loader(described)
    library = found.rpartition(".")[2] if found.startswith("mlflow.") and found != "mlflow.pyfunc.model" else ""
    wanted = dict.fromkeys((*_MODULES, found, library, *(name.replace("-", "_") for name in sorted(packages))))
    return tuple(name for name in wanted if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name))


def _read(path: Path) -> str:
    """Returns the text of a file of the model: of the file itself, never of one that a link in the model leads to."""
    try:
        with Directory.open(path.parent) as directory, directory.read(path.name) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise RunFailed(f"{path} is larger than {MAX_BYTES} bytes", hint="replace it with a list of requirements")
    return content.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")
