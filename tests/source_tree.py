"""What the source says about itself, read without running it: who imports whom, which circles that makes, how long things
are. For the tests of the walls."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ("core", "cli", "tui", "screens")
_MODULE = re.compile(r"podium\.(?:core|cli|tui|screens)\b[\w.]*(?=:|$)")


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def typing_only(tree: ast.AST) -> set[ast.AST]:
    """Returns the nodes below `if TYPE_CHECKING:`: nothing of them happens at run time."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                found.update(ast.walk(child))
    return found


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yields (absolute module below podium or outside, whether only for types) of every import of a file, late ones too."""
    package = ("podium", *path.relative_to(ROOT).parent.parts)
    tree = parsed(path)
    types = typing_only(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module or ""]))
            names = [alias.name for alias in node.names]
            if (ROOT / Path(*module.split(".")[1:])).is_dir() and module.startswith("podium"):
                yield from ((f"{module}.{name}", node in types) for name in names)
            else:
                yield module, node in types


def all_imports(folder: str) -> Iterator[tuple[str, str, bool]]:
    for path in sources(folder):
        for module, types in imports(path):
            yield str(path.relative_to(ROOT)), module, types


def module_of(path: Path) -> str:
    """Returns the name under which a file is imported: `core/journal/__init__.py` -> `podium.core.journal`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("podium", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def room(module: str) -> str:
    """Returns the folder (or single module) of core/: `podium.core.journal.runs` -> `journal`; empty for the package
    itself."""
    parts = module.split(".")
    return parts[2] if len(parts) > 2 else ""


# Circles


def import_graph() -> dict[str, set[str]]:
    """Returns, for each module of the house, the modules that it imports at any time, types excepted."""
    files = {module_of(path): path for folder in HOUSE for path in sources(folder)}

    def known(name: str) -> str | None:
        """`podium.core.journal.Journal` is something in `podium.core.journal`."""
        return name if name in files else name.rpartition(".")[0] if name.rpartition(".")[0] in files else None

    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        found = {known(name) for name, types in imports(path) if not types}
        graph[module] = {name for name in found if name is not None and name != module}
    return graph


def circles(graph: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """Returns the sets of nodes that reach each other (Tarjan's strongly connected components of more than one)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: set[frozenset[str]] = set()

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for other in graph[node]:
            if other not in order:
                visit(other)
            if other in stack:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == order[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.add(frozenset(stack[at:]))
            del stack[at:]

    for node in graph:
        if node not in order:
            visit(node)
    return found


# Names of modules in strings


def modules_in_strings(path: Path) -> Iterator[tuple[int, str]]:
    """Yields (line, module) of each string that is a module of the house or something in one, such as
    `podium.core.serving.server` or `podium.core.engine.executors.process:ProcessExecutor`."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = _MODULE.match(node.value)
            if found:
                yield node.lineno, found.group().rstrip(".")


# Sizes


def crowd() -> Counter[str]:
    """Returns how many files of Python each folder has."""
    folders = (*HOUSE, "tests")
    files = (path for folder in folders for path in sources(folder) if path.name != "__init__.py")
    return Counter(str(path.parent.relative_to(ROOT)) for path in files)


def function_lengths() -> list[int]:
    """Returns the lines of every function of the house, its decorators excepted, the shortest first."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = (node for folder in HOUSE for path in sources(folder) for node in ast.walk(parsed(path)))
    return sorted(node.end_lineno - node.lineno + 1 for node in nodes if isinstance(node, kinds) and node.end_lineno)


_MAKERS = ("dict", "list", "set", "deque", "defaultdict", "OrderedDict", "Counter", "WeakSet", "WeakValueDictionary")
_DISPLAYS = ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp | ast.SetComp
_CHANGES = (
    *("add", "append", "appendleft", "clear", "discard", "extend", "insert"),
    *("pop", "popitem", "popleft", "remove", "setdefault", "update"),
)


def shared_containers(tree: ast.Module) -> set[str]:
    """Returns the names of a module's dicts, lists and sets, constant or not."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and (value := node.value) is not None:
            made = isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in _MAKERS
            if made or isinstance(value, _DISPLAYS):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def changed_names(tree: ast.AST) -> set[str]:
    """Returns what is changed in place (`x` of `x[1] = 2`, `module.x` of `module.x.append(1)`) or by `global`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            found.add(ast.unparse(node.value))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
            found.add(ast.unparse(node.func.value))
        elif isinstance(node, ast.AugAssign):
            found.add(ast.unparse(node.target))
        elif isinstance(node, ast.Global):
            found |= set(node.names)
    return found
