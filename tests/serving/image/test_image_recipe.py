"""What goes into a serving image, without an engine: requirements, Dockerfiles, contexts, and what is refused."""

from __future__ import annotations

import ast
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.containers.images import buildkit_trace, sbom
from podium.core.containers.images.context import BuildContext
from podium.core.errors import NotFound, PodiumError, Refused, RunFailed, UsageError
from podium.core.serving import health
from podium.core.serving.image import recipe
from podium.core.serving.image import requirements as image_requirements
from podium.core.serving.options import parse

from tests.runner.scale import scaled

CORE = Path(recipe.__file__).resolve().parents[2]
REQUIRED = os.environ.get("PODIUM_REQUIRE_SERVERS")


def model(
    path: Path, requirements: str | None = "mlflow==3.1.0\nscikit-learn==1.5.0\n", loader: str = "mlflow.sklearn"
) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "MLmodel").write_text(f"mlflow_version: 3.1.4\nflavors:\n  python_function:\n    loader_module: {loader}\n")
    if requirements is not None:
        (path / "requirements.txt").write_text(requirements)
    return path


def test_mlflow_goes_in_without_its_server(tmp_path: Path) -> None:
    found = image_requirements.of_model(model(tmp_path))
    lines = found.text.splitlines()
    assert lines[:2] == ["mlflow-skinny==3.1.0", "scikit-learn==1.5.0"]
    assert {"pandas", "numpy"} <= set(lines)
    assert [line.split(">")[0] for line in lines[-3:]] == ["uvicorn", "httptools", "uvloop"]
    # Of MLflow's loader, of the library that it names, and of packages that are called like their module.
    assert {"mlflow.sklearn", "sklearn", "mlflow_skinny", "pandas"} <= set(found.modules) and len(
        set(found.modules)
    ) == len(found.modules)


def test_the_whole_of_mlflow_where_it_is_asked_for(tmp_path: Path) -> None:
    assert image_requirements.of_model(model(tmp_path), whole=True).text.splitlines()[0] == "mlflow==3.1.0"
    assert (
        image_requirements.of_model(model(tmp_path, "mlflow[extras]==3.1.0\n")).text.splitlines()[0]
        == "mlflow[extras]==3.1.0"
    )


def test_what_the_model_pins_stays_pinned(tmp_path: Path) -> None:
    lines = image_requirements.of_model(
        model(tmp_path, "pandas==2.2.0\nNumPy<2\nuvicorn==0.30.1  # why\nmlflow-skinny==3.2\n")
    ).text.splitlines()
    assert lines[:4] == ["pandas==2.2.0", "NumPy<2", "uvicorn==0.30.1", "mlflow-skinny==3.2"]
    assert not {"pandas", "numpy"} & set(lines)


def test_a_model_without_requirements_gets_the_mlflow_that_wrote_it(tmp_path: Path) -> None:
    assert image_requirements.of_model(model(tmp_path, None)).text.splitlines()[0] == "mlflow-skinny==3.1.4"
    with pytest.raises(NotFound, match="contains no MLflow model"):
        image_requirements.of_model(tmp_path / "nothing")


def test_constraints_are_taken_along(tmp_path: Path) -> None:
    path = model(tmp_path, "mlflow==3.1.0\n-c constraints.txt\n")
    (path / "constraints.txt").write_text("cloudpickle<3\n")
    found = image_requirements.of_model(path)
    assert found.constraints == "cloudpickle<3\n"
    assert "-c constraints.txt" in found.text
    assert found.key() != image_requirements.of_model(model(tmp_path / "b", "mlflow==3.1.0\n")).key()


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://me:hush@pypi.example.com/simple",
        "thing @ https://t0ken@host/thing.whl",
        "git+https://me:hush@host/x.git",
    ],
)
def test_passwords_do_not_get_into_an_image(tmp_path: Path, line: str) -> None:
    with pytest.raises(Refused, match="contain a password") as caught:
        image_requirements.of_model(model(tmp_path, f"mlflow==3.1.0\n{line}\n"))
    assert "hush" not in caught.value.message and "t0ken" not in caught.value.message
    assert "docker.wheels" in caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "./wheels/mine.whl",
        "-e .",
        "-e git+ssh://git@host/team/lib.git@v1#egg=lib",
        "/home/me/mine",
        "file:///x.whl",
        "-r more.txt",
        "-c other.txt",
        "mine.whl",
        "--install-option=x",
        "..\\x",
        "x @ file:///y",
    ],
)
def test_what_only_the_training_machine_has(tmp_path: Path, line: str) -> None:
    with pytest.raises(RunFailed, match="the model's requirements"):
        image_requirements.of_model(model(tmp_path, f"mlflow==3.1.0\n{line}\n"))


@pytest.mark.parametrize(
    "line",
    [
        "git+https://github.com/a/b@v1#egg=b",
        "b @ https://host/b-1.whl",
        "a[b]>=1,<2; python_version < '4'",
        "--extra-index-url https://host/s",
    ],
)
def test_what_pip_can_fetch_is_left_to_it(tmp_path: Path, line: str) -> None:
    assert line in image_requirements.of_model(model(tmp_path, f"mlflow==3.1.0\n{line}\n")).text.splitlines()


@pytest.mark.parametrize(
    "line",
    [
        "torch==2.5.1+cpu",
        "xgboost==3.0.0+local ; python_version > '3'",
        "torch [x] === 2.5.1+cu102",
        "mlflow==3.18.0.dev0",
    ],
)
def test_a_version_that_no_index_has_is_refused_before_the_build(tmp_path: Path, line: str) -> None:
    first = "" if line.startswith("mlflow") else "mlflow==3.1.0\n"
    with pytest.raises(RunFailed, match="the package index does not have") as caught:
        image_requirements.of_model(model(tmp_path, f"{first}{line}\n"))
    there = line.replace("mlflow", "mlflow-skinny")
    assert there.split()[0] in caught.value.message and "docker.wheels" in caught.value.hint
    assert there in image_requirements.of_model(model(tmp_path / "b", f"{first}{line}\n"), wheels=True).text
    elsewhere = f"--extra-index-url https://host/cpu\n{first}{line}\n"
    assert there in image_requirements.of_model(model(tmp_path / "c", elsewhere)).text


def test_a_version_of_a_branch_and_a_plus_elsewhere_are_left_to_pip(tmp_path: Path) -> None:
    for line in ("b @ https://host/b-1+x.whl", "git+https://host/a@v1+2", "tf-nightly==2.20.0.dev1", "c==1.0"):
        assert line in image_requirements.of_model(model(tmp_path / line[0], f"mlflow==3.1.0\n{line}\n")).text


def test_requirements_are_never_part_of_a_dockerfile(tmp_path: Path) -> None:
    wicked = "mlflow==3.1.0\nx; RUN id\nCOPY / /\n"
    requirements = image_requirements.of_model(model(tmp_path, wicked))
    files = unpacked(recipe.dependencies_context("base:1", requirements, None))
    assert files["Dockerfile"].decode() == recipe.dependencies_dockerfile("base:1")
    assert b"RUN id" in files["build/requirements.txt"]


def unpacked(context: BuildContext) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(context.stream()))) as tar:
        found = {}
        for member in tar:
            assert (member.uid, member.gid, member.mtime) == (0, 0, 315_532_800)
            assert member.mode == (0o755 if member.isdir() else 0o644)
            content = tar.extractfile(member)
            if content is not None:
                found[member.name] = content.read()
        return found


def test_a_context_is_a_matter_of_its_content_alone(tmp_path: Path) -> None:
    one, two = BuildContext(), BuildContext()
    for number, name in enumerate(("b", "a/c", "a/ü" * 60, "a/\udcff")):
        path = tmp_path / str(number)
        path.write_text(name, errors="surrogateescape")
        path.chmod(0o600 + number)
        os.utime(path, (number, number))
        one.add(name, path)
    for number, name in reversed(list(enumerate(("b", "a/c", "a/ü" * 60, "a/\udcff")))):
        two.add(name, (tmp_path / str(number)).read_bytes())
    assert b"".join(one.stream()) == b"".join(two.stream())
    assert set(unpacked(one)) == {"b", "a/c", "a/ü" * 60, "a/\udcff"}
    assert one.size == two.size


def test_a_file_that_shrinks_while_it_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x" * 3_000_000)
    context = BuildContext()
    context.add("x", path)
    stream = context.stream()
    next(stream), next(stream)
    os.truncate(path, 10)
    with pytest.raises(RunFailed, match="became shorter"):
        list(stream)


def test_all_that_a_replica_imports_is_in_the_image(tmp_path: Path) -> None:
    """Read from the source, and seen from a process that has nothing else of Podium."""
    files = unpacked(recipe.serving_context("base:1", model(tmp_path / "model")))
    inside = {name.removeprefix("code/opt/podium/code/") for name in files if name.startswith("code/")}
    for name in inside:
        for node in ast.walk(ast.parse((CORE.parent / name.removeprefix("podium/")).read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                folder = Path(name).parents[node.level - 1]
                place = str(folder / (node.module or "").replace(".", "/"))
                known = not node.module or f"{place}.py" in inside or f"{place}/__init__.py" in inside
                assert known and place.startswith("podium/core/serving"), f"{name} imports {ast.unparse(node)}"
    code = tmp_path / "code"
    for name, content in files.items():
        if name.startswith("code/opt/podium/code/"):
            target = code / name.removeprefix("code/opt/podium/code/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    command = "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]; "
    command += (
        f"sys.path.insert(0, {str(code)!r}); import podium.core.serving.server, podium.core.serving.trial as t;"
        " print(t.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=scaled(60), check=False
    )
    assert done.stdout.startswith(str(code)), done.stderr


def test_hadolint_finds_nothing(tmp_path: Path) -> None:
    hadolint = shutil.which("hadolint", path=f"{os.environ['PATH']}:{Path(sys.executable).parent}")
    if hadolint is None:
        (pytest.fail if REQUIRED else pytest.skip)("hadolint is not installed")
    for text in (
        recipe.dependencies_dockerfile("python:3.11-slim"),
        recipe.serving_dockerfile("podium/flights-0123456789ab:deps-0123456789"),
    ):
        path = tmp_path / "Dockerfile"
        path.write_text(text)
        done = subprocess.run(
            [hadolint, "--no-color", "--failure-threshold", "style", str(path)],
            capture_output=True,
            text=True,
            timeout=scaled(60),
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "")


def test_wheels_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not a directory"):
        recipe.wheel_files(tmp_path / "none")
    with pytest.raises(NotFound, match="holds no wheel"):
        recipe.wheel_files(tmp_path)
    for number in range(2_001):
        (tmp_path / f"{number}.whl").touch()
    with pytest.raises(UsageError, match="2001 files"):
        recipe.wheel_files(tmp_path)


def test_an_image_tells_what_it_holds_and_the_command_line_decides() -> None:
    environ = {
        "PODIUM_SERVING_VERSION": "3",
        "PODIUM_SERVING_MODEL_NAME": "m",
        "PODIUM_SERVING_CAPTURE_DIR": "/c",
        "PODIUM_SERVING_CAPTURE_RATE": "0.5",
    }
    options = parse(["--model", "x", "--port", "1"], environ)
    assert (options.version, options.model_name, str(options.capture_dir), options.capture_rate) == (
        "3",
        "m",
        "/c",
        0.5,
    )
    options = parse(["--model", "x", "--port", "1", "--version", "4", "--capture-rate", "0"], environ)
    assert (options.version, options.capture_rate) == ("4", 0.0)
    with pytest.raises(SystemExit):
        parse(["--model", "x", "--port", "1"], {"PODIUM_SERVING_CAPTURE_RATE": "2"})


def test_nobody_listening_is_not_healthy() -> None:
    assert not health.healthy(1)


def test_what_buildkit_says_is_read() -> None:
    digest = b"sha256:" + b"a" * 64

    def field(number: int, content: bytes) -> bytes:
        return (
            bytes(
                [
                    number << 3 | 2,
                    *([len(content) & 0x7F | 0x80, len(content) >> 7] if len(content) > 127 else [len(content)]),
                ]
            )
            + content
        )

    times = b"\x08\xd6\xbf\x9b\xd8\x06\x10\x80\xca\xb5\xee\x01"  # 1795612630.5
    vertex = (
        field(1, digest)
        + field(2, b"x")
        + field(2, b"y")
        + field(3, b"[1/2] RUN x")
        + b"\x20\x01"
        + field(5, times)
        + field(6, times)
        + field(7, b"no")
    )
    news = buildkit_trace.decode(field(1, vertex) + field(3, field(1, digest) + field(4, b"half a li")))
    assert news.vertexes == [
        buildkit_trace.Vertex(digest.decode(), "[1/2] RUN x", True, 1795612630.5, 1795612630.5, "no")
    ]
    assert news.outputs == [buildkit_trace.Output(digest.decode(), b"half a li")]
    for broken in (b"\x0a\xff", b"\x0b", b"\xff" * 12, field(1, b"\x0a\x05ab")):
        with pytest.raises(ValueError):
            buildkit_trace.decode(broken)


def test_a_bill_of_materials(engine: Engine, shell_image: str) -> None:
    if sbom.program() is None:
        (pytest.fail if REQUIRED else pytest.skip)("syft is not installed")
    document = sbom.make(engine, shell_image)
    assert document["spdxVersion"].startswith("SPDX-")
    other = sbom.renamed(document, "flights", "3", "sha256:" + "1" * 64)
    assert other["name"] == "flights 3"
    assert sbom.components(other) == sbom.components(document)
    container = [package for package in other["packages"] if package.get("primaryPackagePurpose") == "CONTAINER"]
    assert [(package["name"], package["versionInfo"]) for package in container] == [("flights", "3")]
    with pytest.raises(PodiumError, match="syft could not read"):
        sbom.make(engine, "sha256:" + "0" * 64)
