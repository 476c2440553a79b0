"""Conditions that do not mean what they look like: `when:` compares texts, so that 0.10 is not 0.1 and `False` alone
holds. A sentence about each, for `podium validate`."""

from __future__ import annotations

from collections.abc import Iterator

from ...domain.project import Pipeline, Project, StepSpec
from ...errors import UsageError
from ..conditions import FALSE, Term, parse

# Words that people write for what does not hold, in small letters.
_LOOKS_FALSE = ("false", "no", "off", "n", "none", "null")


def misleading(project: Project) -> Iterator[str]:
    """Yields the sentences, in the order of the file."""
    for pipeline in project.pipelines.values():
        for step in pipeline.steps.values():
            try:
                root = parse(step.when).root if step.when else None
            except UsageError:
                continue  # a problem of its own
            where = f"pipelines.{pipeline.name}.steps.{step.name}.when"
            for words in dict.fromkeys(_of(root, pipeline, step) if root is not None else ()):
                yield f"{where}: {words}"


def _of(term: Term, pipeline: Pipeline, step: StepSpec) -> Iterator[str]:
    if term.kind in ("equal", "unequal"):
        yield from _compared(term, pipeline, step)
    elif term.kind == "truth":
        yield from _alone(term.parts[0], pipeline, step)
    else:
        for part in term.parts:
            yield from _of(part, pipeline, step)


def _compared(term: Term, pipeline: Pipeline, step: StepSpec) -> Iterator[str]:
    """Yields the values that are equal as numbers to what they are compared with, and not as texts."""
    for one, other in (term.parts, term.parts[::-1]):
        written = _number(one.text) if one.kind == "value" else None
        if written is None or other.kind != "name":
            continue
        for value in _values(other.text, pipeline, step):
            if value != one.text and _number(value) == written:
                yield f"`{one.text}` is not `{other.text}` where that is {value}: texts are compared; write {value}"


def _alone(term: Term, pipeline: Pipeline, step: StepSpec) -> Iterator[str]:
    """Yields the values that look as if they did not hold, and do."""
    if term.kind == "name":
        for value in _values(term.text, pipeline, step):
            if value not in FALSE and (value.lower() in _LOOKS_FALSE or _number(value) == 0):
                yield (
                    f"`{term.text}` alone holds where it is {value}: only an empty value, `false` and `0` do not; write"
                    f" {term.text} != '{value}'"
                )


def _values(name: str, pipeline: Pipeline, step: StepSpec) -> tuple[str, ...]:
    """Returns what podium.yaml says that a name may be: the cells of the matrix, a parameter's default."""
    from ..expressions import text_of

    space, _, key = name.partition(".")
    if space == "params":
        return (pipeline.params[key],) if key in pipeline.params else ()
    if space != "matrix" or step.matrix is None:
        return ()
    found = [*step.matrix.axes.get(key, ()), *(cell[key] for cell in step.matrix.include if key in cell)]
    return tuple(map(text_of, found))


def _number(text: str) -> float | None:
    try:
        return float(text) if text[:1] in "+-.0123456789" and text else None
    except ValueError:
        return None
