"""The walls of the house: who may import whom, read from the source, and what a light command really loads, seen
from outside.

The floors of core/, from the ground up. A file imports its own floor's folder and floors below, never above.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runner.scale import scaled
from tests.source_tree import (
    HOUSE,
    ROOT,
    all_imports,
    changed_names,
    circles,
    crowd,
    function_lengths,
    import_graph,
    module_of,
    modules_in_strings,
    parsed,
    room,
    shared_containers,
    sources,
)

# Folders (and single modules) of core/ from the ground up. Rooms of one floor do not import each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("secret_forms",),
    ("known_secrets",),
    ("version", "errors", "handover", "closing", "replacing", "priority", "clock"),
    ("identity", "beneath", "child", "control_groups", "http_client"),
    ("named_hosts",),
    ("preload",),
    ("domain",),
    ("plugins", "reserve", "host_queue"),
    ("config", "journal", "logs", "scm"),
    ("registry", "containers"),
    ("engine",),
    ("quality", "serving", "telemetry", "infra", "signatures"),
    ("labels", "scoring"),
    ("delivery",),
    ("monitoring",),
    ("alerts",),
    ("retention",),
    ("run_plans",),
    ("changes", "adoption", "unlock"),
    ("feedback",),
    ("hosting", "anchoring"),
    ("triggers", "backup", "export"),
    ("lineage", "template", "doctor", "demo", "attention", "comparison", "evidence"),
    ("cockpit",),
)
LEVEL = {room: level for level, floor in enumerate(FLOORS) for room in floor}
TERMINAL = ("textual", "rich", "typer", "click")


def test_core_knows_no_terminal() -> None:
    wrong = [(file, module) for file, module, _ in all_imports("core") if module.split(".")[0] in TERMINAL]
    assert not wrong
    outside = [
        (file, module)
        for file, module, _ in all_imports("core")
        if module.startswith("podium.") and not module.startswith("podium.core")
    ]
    assert not outside


@pytest.mark.parametrize("folder", ["cli", "tui", "screens"])
def test_front_ends_see_the_facade_and_the_vocabulary_only(folder: str) -> None:
    allowed = {"cockpit", "domain", "errors", "version"}
    wrong = [
        (file, module)
        for file, module, types in all_imports(folder)
        if module.startswith("podium.core") and room(module) not in allowed and not (types and room(module) == "demo")
    ]
    assert not wrong


def test_the_headless_front_end_does_not_know_the_screen() -> None:
    wrong = [
        (file, module)
        for file, module, _ in all_imports("cli")
        if module.startswith(("podium.tui", "podium.screens", "textual", "rich"))
    ]
    assert not wrong
    wrong = [
        (file, module)
        for folder in ("tui", "screens")
        for file, module, _ in all_imports(folder)
        if module.startswith(("podium.cli", "typer"))
    ]
    assert not wrong


def test_every_room_has_a_floor() -> None:
    rooms = {path.stem if path.is_file() else path.name for path in (ROOT / "core").iterdir()} - {
        "__init__",
        "__pycache__",
        "py",
    }
    assert rooms <= set(LEVEL), f"give these a floor in FLOORS: {rooms - set(LEVEL)}"


def test_core_imports_downwards_only() -> None:
    wrong = []
    for file, module, types in all_imports("core"):
        own = Path(file).parts[1].removesuffix(".py")
        other = room(module)
        if not module.startswith("podium.core") or not other or own in ("__init__", other) or types:
            continue  # naming a type of a higher floor binds nothing at run time
        if LEVEL[other] >= LEVEL[own]:
            wrong.append((file, module))
    assert not wrong


def test_the_table_of_plug_ins_names_what_exists() -> None:
    from podium.core import plugins

    for kind, entries in plugins.TABLE.items():
        for name, plugin in entries.items():
            assert not plugin.target or plugins.load(kind, name), (kind, name)


# What is still in the way. A list only gets shorter: what is gone from the house has to go from here too.
CIRCLES: tuple[tuple[str, ...], ...] = (
)  # fmt: skip
UPWARD_STRINGS: set[tuple[str, str]] = set()
CROWDED: set[str] = set()
# The one table that names rooms of every floor, so that nobody else has to.
PLUGIN_TABLE = "core/plugins.py"


def test_no_circle_of_imports_late_ones_included() -> None:
    found = {frozenset(name.removeprefix("podium.") for name in circle) for circle in circles(import_graph())}
    listed = {frozenset(circle) for circle in CIRCLES}
    assert found - listed == set(), "a new circle (or a listed one has changed: then correct CIRCLES)"
    assert listed - found == set(), "these circles are gone: take them out of CIRCLES"


def test_a_circle_would_be_seen() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": {"d"}, "f": {"a", "d"}}
    assert circles(graph) == {frozenset("abc"), frozenset("de")}
    assert "podium.core.journal" in import_graph()["podium.core.cockpit.opened"]
    assert "podium.core.delivery.status.status" in import_graph()["podium.core.cockpit.environments"], (
        "late imports too"
    )


def test_no_string_names_a_higher_room() -> None:
    """By such a string a room calls what it must not import. Names of its own room's modules, and of lower ones, are
    commands of child processes and tables."""
    found = {
        (file, module)
        for path in sources("core")
        for _, module in modules_in_strings(path)
        if (file := str(path.relative_to(ROOT))) != PLUGIN_TABLE and upward(path, module)
    }
    assert found - UPWARD_STRINGS == set(), "name it in the plugin table, or hand it down"
    assert UPWARD_STRINGS - found == set(), "these are gone: take them out of UPWARD_STRINGS"


def upward(path: Path, module: str) -> bool:
    own, other = room(module_of(path)), room(module)
    if not module.startswith("podium.core."):
        return True
    return own != other and LEVEL[other] >= LEVEL[own]


# The drivers and executors themselves, and the table that lists them.
KNOW_THE_NAMES = ("core/delivery/drivers/", "core/engine/executors/", "core/plugins.py")


def test_nothing_compares_the_names_of_drivers_and_executors() -> None:
    """They say what they can (`plugins.driver_capabilities`, `plugins.executor_capabilities`), so that a new one has to
    touch no other file."""
    from podium.core import plugins

    names = {*plugins.TABLE["drivers"], *plugins.TABLE["executors"]}
    wrong = {
        file
        for folder in HOUSE
        for path in sources(folder)
        if not (file := str(path.relative_to(ROOT))).startswith(KNOW_THE_NAMES)
        for node in ast.walk(parsed(path))
        if compares(node, names) or (folder == "core" and asks_for_the_class(node))
    }
    assert wrong == set(), "ask for the capability"


def compares(node: ast.AST, names: set[str]) -> bool:
    """Whether the node compares something with one of the names."""
    if isinstance(node, ast.Compare):
        parts = (each for part in (node.left, *node.comparators) for each in ast.walk(part))
        return any(isinstance(each, ast.Constant) and each.value in names for each in parts)
    return isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant) and node.value.value in names


def asks_for_the_class(node: ast.AST) -> bool:
    """Whether the node is an isinstance() of a driver or an executor."""
    if not isinstance(node, ast.Call) or ast.unparse(node.func) != "isinstance":
        return False
    classes = (each for each in ast.walk(node.args[1]) if isinstance(each, ast.Name | ast.Attribute))
    return any(ast.unparse(each).endswith(("Driver", "Executor")) for each in classes)


def test_a_comparison_of_names_would_be_seen() -> None:
    for text in ('driver != "docker"', 'x in ("process", "docker")'):
        assert compares(ast.parse(text, mode="eval").body, {"docker", "process"})
    assert asks_for_the_class(ast.parse("isinstance(driver, docker.DockerDriver)", mode="eval").body)
    assert not compares(ast.parse('kind == "moon"', mode="eval").body, {"docker"})


def test_no_folder_is_crowded() -> None:
    found = {folder for folder, files in crowd().items() if files > 22}
    assert found - CROWDED == set(), "a folder of more than 22 files shows no structure"
    assert CROWDED - found == set(), "these are not crowded any more: take them out of CROWDED"


def test_functions_are_short() -> None:
    lengths = function_lengths()
    assert lengths[len(lengths) * 9 // 10] <= 25


def test_no_test_measures_how_long_something_takes() -> None:
    """On a busy machine everything takes longer: a test asks what happened, how often, and what came before what."""
    clocks = ("perf_counter", "monotonic", "process_time", "thread_time")
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources("tests")
        if path.name.startswith("test_")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and node.attr.removesuffix("_ns") in clocks
    ]
    assert wrong == []


def test_what_changes_belongs_to_an_object() -> None:
    """A dict, list or set of a module is a constant: what changes has a class that says what it is and who may change
    it. No module changes another one's, and none has a `global`."""
    trees = {module_of(path): parsed(path) for folder in HOUSE for path in sources(folder)}
    shared = {module: shared_containers(tree) for module, tree in trees.items()}
    everywhere = {f"{module.rpartition('.')[2]}.{name}" for module, names in shared.items() for name in names}
    wrong = {
        (module, name)
        for module, tree in trees.items()
        for name in changed_names(tree) & (shared[module] | everywhere | declared_global(tree))
    }
    assert wrong == set()


def declared_global(tree: ast.Module) -> set[str]:
    return {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}


def test_a_shared_dict_that_changes_would_be_seen() -> None:
    for line in ("_open[key] = 1", "_open.setdefault(key, 1)", "del _open[key]", "_open |= {}"):
        tree = ast.parse(f"_open: dict[str, int] = {{}}\nNAMES = ['a']\n\ndef get(key):\n    {line}\n")
        assert changed_names(tree) & shared_containers(tree) == {"_open"}
    assert declared_global(ast.parse("x = 0\ndef count():\n    global x\n    x = 1\n")) == {"x"}
    assert changed_names(ast.parse("other.NAMES.append('b')")) == {"other.NAMES"}


# What reads, and never shows, text letter by letter: a key that was typed.
OWN_LETTERS = {"tui/keymap.py"}


def test_one_place_makes_text_harmless() -> None:
    """`core/domain/text/` does. A second place would forget what the first one knows."""
    wrong = {
        f"{file}:{node.lineno}"
        for folder in ("cli", "tui", "screens")
        for path in sources(folder)
        if (file := str(path.relative_to(ROOT))) not in OWN_LETTERS
        for node in ast.walk(parsed(path))
        if cleans(node)
    }
    assert wrong == set(), "call one_line() or clean() of core/domain/text/"


def cleans(node: ast.AST) -> bool:
    """Whether the node looks at letters one by one, or for escape sequences."""
    if isinstance(node, ast.Attribute):
        return node.attr in ("isprintable", "category")
    if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
        return any(isinstance(each, ast.Constant) and "\x1b" in str(each.value) for each in node.args)
    return isinstance(node, ast.FunctionDef) and node.name.strip("_") in ("safe", "clean", "printable", "sanitize")


def test_a_second_place_would_be_seen() -> None:
    second = ("def _safe(text): ...", "text.isprintable()", "unicodedata.category(text)", r"re.sub('\x1b.', '', text)")
    for source in second:
        assert any(cleans(node) for node in ast.walk(ast.parse(source))), source


def test_what_is_complex_says_why() -> None:
    """Ruff refuses a function with more than ten ways through (C901) unless a comment takes it out."""
    taken_out = [
        line for folder in HOUSE for path in sources(folder) for line in path.read_text().splitlines() if "C901" in line
    ]
    assert [line for line in taken_out if not re.search(r"# noqa: C901 - \w.{10,}", line)] == []


def test_the_walls_see_imports() -> None:
    seen = {(file, module) for file, module, _ in all_imports("core")}
    assert ("core/cockpit/opened.py", "podium.core.journal.Journal") in seen
    assert ("core/cockpit/environments.py", "podium.core.delivery.status.status") in seen, "late imports too"


def test_no_handler_of_a_message_calls_the_one_that_it_overrides() -> None:
    """Textual calls the handler of each class by itself: what `super()` calls would be done twice."""
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for room in ("screens", "tui")
        for path in sorted((ROOT / room).rglob("*.py"))
        for line in path.read_text().splitlines()
        if re.search(r"super\(\)\._?on_(?!event\()", line)
    ]
    assert found == []


# Who writes by itself, and what. All other words go through output.py and diagnostics.py, which clean them.
OWN_WRITERS = {
    "cli/text/output.py": "standard output",
    "cli/text/diagnostics.py": "standard error",
    "cli/streams.py": "the descriptors below them",
    "cli/interaction/terminal.py": "what a shell in a container prints, which has this terminal for itself",
    "cli/main.py": "the version, before anything else is loaded",
    "core/triggers/agent.py": "the agent's log, in print_line",
    "core/triggers/wake.py": "a byte into the pipe of its own process",
}
# What may be asked of a stream without writing to it.
ASKED = ("isatty", "fileno", "flush", "encoding")
STREAMS = ("sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__")
SHOWING = ("echo", "secho", "echo_via_pager", "style", "prompt", "confirm", "print_exception", "print_exc", "print_tb")


def test_what_is_written_is_cleaned() -> None:
    wrong = {
        f"{file}:{node.lineno}"
        for folder in ("cli", "core/triggers", "core/cockpit")
        for path in sources(folder)
        if (file := str(path.relative_to(ROOT))) not in OWN_WRITERS
        for node in writers(parsed(path))
    }
    assert wrong == set(), "call output.line() or diagnostics.note(), in the agent say()"
    found = [node.lineno for node in writers(parsed(ROOT / "core/triggers/agent.py"))]
    assert len(found) == 1, "print_line() alone"


def writers(tree: ast.AST) -> list[ast.expr | ast.stmt]:
    """Returns the nodes by which a file writes to a terminal without asking anybody."""
    harmless = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in ASKED}
    found: list[ast.expr | ast.stmt] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in ("print", "input"):
            found.append(node)
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            module, _, attribute = name.rpartition(".")
            shows = module in ("typer", "click", "traceback") and attribute in SHOWING
            if shows or name == "os.write" or (name in STREAMS and node not in harmless):
                found.append(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = {alias.name for alias in node.names}
            taken = module in ("sys", "typer", "click", "traceback") and names & {"stdout", "stderr", *SHOWING}
            if taken or (not module and names & {"logging", "warnings"}):
                found.append(node)
    return found


def test_another_writer_would_be_seen() -> None:
    for source in (
        "print(text)",
        "call(say=print)",
        "print(text, file=sys.stderr)",
        "sys.stderr.write(text)",
        "sys.stdout.buffer.write(data)",
        "console(file=sys.stdout)",
        "os.write(sys.stdout.fileno(), data)",
        "typer.echo(text)",
        "typer.confirm(text)",
        "from typer import secho",
        "from sys import stdout",
        "traceback.print_exc()",
        "import logging",
        "input('name? ')",
    ):
        assert writers(ast.parse(source)), source
    assert not writers(ast.parse("sys.stdout.isatty() and sys.stdout.flush() and options.confirm and os.read(0, 1)"))


def test_nobody_else_says_that_a_text_is_clean() -> None:
    """`Painted` and `job_commands` pass text on as it is: the first is made by `paint` alone, the second is for ci_job.py."""
    wrong = {
        f"{file}: {name}"
        for path in sources("cli")
        if (file := str(path.relative_to(ROOT))) != "cli/text/diagnostics.py"
        for node in ast.walk(parsed(path))
        for name in [getattr(node, "attr", None) or getattr(node, "id", None) or getattr(node, "name", None)]
        if name == "Painted" or (name == "job_commands" and file != "cli/commands/ci_run.py")
    }
    assert wrong == set()


HEAVY = (
    "mlflow",
    "docker",
    "textual",
    "pandas",
    "numpy",
    "sklearn",
    "httpx",
    "rich",
    "pydantic",
    "starlette",
    "uvicorn",
    "psutil",
)
REPORT = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})), file=sys.stderr))
"""


def loaded(code: str, cwd: Path) -> set[str]:
    """Top-level modules in a fresh process that ran `code`."""
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", REPORT + code], cwd=cwd, env=environ, capture_output=True, text=True, timeout=scaled(60)
    )
    assert done.stderr.strip(), done.stdout
    return set(json.loads(done.stderr.strip().splitlines()[-1]))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    text = (
        "project: walls\npipelines: {release: {steps: {one: {run: 'true'}}}}\nenvironments: {staging: {port: 5100}}\n"
    )
    (tmp_path / "podium.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["ps", "-o", "json"],
        ["status", "-o", "json"],
        ["versions", "-o", "json"],
        ["validate"],
        ["run", "-d"],
        ["history"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_a_light_command_loads_nothing_heavy(project: Path, words: list[str]) -> None:
    modules = loaded(f"from podium.cli.main import main\nassert main({words!r}) == 0", project)
    assert not modules & set(HEAVY)


def test_version_loads_next_to_nothing(project: Path) -> None:
    modules = loaded("from podium.cli.main import main\nmain(['--version'])", project)
    assert not modules & {*HEAVY, "typer", "sqlite3", "yaml"}


@pytest.mark.parametrize(
    "module",
    [
        "podium.core.cockpit",
        "podium.core.journal",
        "podium.core.engine.worker",
        "podium.core.engine.executors.container.executor",
        "podium.core.triggers.agent",
    ],
)
def test_a_light_module_loads_nothing_heavy(project: Path, module: str) -> None:
    assert not loaded(f"import {module}", project) & set(HEAVY)
