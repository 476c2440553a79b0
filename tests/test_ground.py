"""The ground floor has one of each: one HTTP client, one way below a directory that is not ours, one place for secrets, one
identity. A call site that goes around it is found here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Where each may be used besides the room that is for it, with the reason.
HTTP = {
    "core/http_client.py",
    "core/delivery/host/http.py",  # to our own replicas, a thousand times a second: docs in core/http_client.py
    "core/delivery/replay/sending.py",  # the same
    "core/containers/relay/program.py",  # runs inside of a container, with the standard library alone
    "core/demo/story.py",  # plays a user
    "tui/web/server.py",  # is a server
    "core/demo/forge/webhooks.py",  # plays a Git host, with the standard library alone
}
# These read, write or remove what steps, containers, archives and servers have left: by handles alone.
FOREIGN = (
    "core/engine/cache/outputs.py",
    "core/engine/cache/objects.py",
    "core/engine/cache/restoring.py",
    "core/engine/cache/file_copy.py",
    "core/engine/executors/container/image.py",
    "core/containers/images/context.py",
    "core/registry/rest.py",
    "core/serving/captures.py",
    "core/serving/image/trial.py",
)
# Calls that take a path and follow links in it.
BY_PATH = {
    "open", "read_bytes", "read_text", "write_bytes", "write_text", "rglob", "glob", "iterdir", "copyfile", "copytree", "copy2", "copy",
    "move", "rmtree", "walk", "extractall", "extract", "unlink", "rename", "replace", "symlink_to", "hardlink_to", "touch",
}  # fmt: skip
# What is called on a handle, or is no file at all, and has the same name.
BY_HANDLE = {
    "replace",
    "parent.rename",
    "found.open",
    "file.open",
    "self.open",
    "Directory.open",
    "tarfile.open",
    "walk",
    "move",
    "beneath.walk",
}


def calls(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
            found.add(node.module or "")
    return found


def sources() -> list[Path]:
    return sorted(path for folder in ("core", "cli", "tui", "screens") for path in (ROOT / folder).rglob("*.py"))


def names(paths: list[Path]) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in paths}


def test_http_is_spoken_by_one_client() -> None:
    spoken = {"httpx", "http.client", "urllib.request", "aiohttp"}
    assert names([path for path in sources() if imported(path) & spoken]) <= HTTP


@pytest.mark.parametrize("name", FOREIGN)
def test_what_others_have_left_is_reached_by_handles(name: str) -> None:
    wrong = [
        f"{name}:{line}: {call}"
        for call, line in calls(ROOT / name)
        if call.rpartition(".")[2] in BY_PATH
        and call not in BY_HANDLE
        and not call.startswith(("dataclasses.", "text."))
    ]
    assert not wrong


def test_no_archive_is_taken_apart_by_the_library_itself() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources()
        for call, line in calls(path)
        if call.endswith((".extractall", "shutil.unpack_archive"))
    ]
    assert not wrong


def test_who_is_who_is_known_in_one_room() -> None:
    marks = ('boot_id"', "machine-id", "socket.gethostname", "platform.node", "os.uname")
    wrong = [
        f"{path.relative_to(ROOT)}: {mark}"
        for path in sources()
        for mark in marks
        if mark in path.read_text(encoding="utf-8") and path.parent.name != "identity"
    ]
    assert not wrong
    lookups = {"psutil.pid_exists", "getpass.getuser", "os.getlogin"}
    assert not [path for path in sources() for call, _ in calls(path) if call in lookups]


def test_secrets_are_masked_in_one_place() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        if path.name != "known_secrets.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in ("***", b"***")
    ]
    assert not wrong


def test_these_walls_see_what_they_are_for(tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text("import httpx\nfrom http import client\ndef f(p):\n    p.read_text(); open(p); p.rglob('*')\n")
    assert "httpx" in imported(path) and "http.client" in imported(path)
    assert {call.rpartition(".")[2] for call, _ in calls(path)} == {"read_text", "open", "rglob"} <= BY_PATH
