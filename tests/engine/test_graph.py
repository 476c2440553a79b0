"""The graph: order, matrices, names, loops."""

from __future__ import annotations

import itertools
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.core.config.shell import judge
from podium.core.domain.project import Matrix, Pipeline, StepSpec
from podium.core.engine.graph import ancestors, build, cell_name, dependents, expand, text
from podium.core.errors import ConfigError, UsageError

from tests.runner.scale import scaled


def pipeline(*steps: StepSpec, **params: str) -> Pipeline:
    return Pipeline("main", {step.name: step for step in steps}, params=params)


@st.composite
def acyclic(draw: st.DrawFn) -> Pipeline:
    count = draw(st.integers(1, 12))
    order = draw(st.permutations(range(count)))
    steps: dict[int, StepSpec] = {}
    for place, number in enumerate(order):
        needs = draw(st.lists(st.sampled_from(order[:place]), unique=True, max_size=4)) if place else []
        matrix = draw(st.none() | st.integers(1, 3).map(lambda size: Matrix({"cell": tuple(range(size))})))
        steps[number] = StepSpec(f"s{number}", run="true", needs=tuple(f"s{need}" for need in needs), matrix=matrix)
    return pipeline(*(steps[number] for number in range(count)))


@given(acyclic())
def test_every_step_comes_after_all_it_needs(graph: Pipeline) -> None:
    planned = build(graph)
    seen: set[str] = set()
    for position, step in enumerate(planned):
        assert step.position == position
        assert set(step.needs) <= seen
        seen.add(step.name)
    cells = {spec.name: len(expand(spec)) for spec in graph.steps.values()}
    assert len(planned) == sum(cells.values())
    for step in planned:
        assert len(step.needs) == sum(cells[need] for need in step.spec.needs)


@given(acyclic(), st.data())
def test_a_loop_is_found_and_named(graph: Pipeline, data: st.DataObject) -> None:
    names = list(graph.steps)
    start = data.draw(st.sampled_from(names))
    above = [
        name
        for name in names
        if any(step.spec.name == name for step in build(graph) if start in _all_before(graph, name))
    ]
    closing = data.draw(st.sampled_from([*above, start]))
    spec = graph.steps[start]
    looped = {**graph.steps, start: StepSpec(start, run="true", needs=(*spec.needs, closing))}
    with pytest.raises(ConfigError) as caught:
        build(Pipeline("main", looped))
    loop = caught.value.problems[0].message.removeprefix("needs itself: ").split(" → ")
    assert loop[0] == loop[-1]
    for one, two in itertools.pairwise(loop):
        assert two.split("[")[0] in looped[one.split("[")[0]].needs


def test_a_thousand_cells_that_need_a_thousand_are_no_million(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done for each cell depends neither on how many others there are nor on how long the command is."""
    scanned: list[str] = []
    places = judge.places
    monkeypatch.setattr(judge, "places", lambda text, spans: scanned.append(text) or places(text, spans))
    axes = Matrix({"a": tuple(range(40)), "b": tuple(range(25))})
    command = "train --a ${{ matrix.a }} --b ${{ matrix.b }} # thousands"
    steps = [StepSpec(f"s{n}", run=command, needs=(f"s{n - 1}",) if n else (), matrix=axes) for n in range(3)]
    planned = build(pipeline(*steps))
    assert scanned == [command]
    assert [step.spec.name for step in planned[::1000]] == ["s0", "s1", "s2"]
    assert planned[1500].command == "train --a '20' --b '0' # thousands"
    assert sum(len(groups) for groups in dependents(planned).values()) == 2 * 1000


def _all_before(graph: Pipeline, name: str) -> set[str]:
    found: set[str] = set()
    queue = [name]
    while queue:
        for need in graph.steps[queue.pop()].needs:
            if need not in found:
                found.add(need)
                queue.append(need)
    return found


axis_values = st.lists(
    st.integers(0, 9) | st.booleans() | st.sampled_from(["a", "b c", "x'y"]), min_size=1, max_size=4, unique_by=text
)
axes = st.dictionaries(st.sampled_from(["depth", "rate", "kind"]), axis_values.map(tuple), min_size=1, max_size=3)


@given(axes, st.data())
def test_a_matrix_is_the_product_of_its_axes_with_changes(
    found: dict[str, tuple[object, ...]], data: st.DataObject
) -> None:
    every = expand(StepSpec("s", run="true", matrix=Matrix(found)))  # type: ignore[arg-type]
    size = 1
    for values in found.values():
        size *= len(values)
    assert len(every) == size
    axis = data.draw(st.sampled_from(sorted(found)))
    value = data.draw(st.sampled_from(found[axis]))
    extra = {"depth": "extra"}
    left = expand(StepSpec("s", run="true", matrix=Matrix(found, include=(extra,), exclude=({axis: value},))))  # type: ignore[arg-type,dict-item]
    assert extra in left
    assert [cell for cell in left if cell != extra] == [cell for cell in every if text(cell[axis]) != text(value)]  # type: ignore[arg-type]
    names = [cell_name("s", cell) for cell in left]
    assert len(set(names)) == len(names)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=30))
def test_a_value_reaches_the_command_as_itself(value: str) -> None:
    steps = build(
        pipeline(StepSpec("s", run='printf %s "${{ params.x }}"; printf %s ${{ params.x }}'), x="1"), {"x": value}
    )
    printed = subprocess.run(
        ["/bin/sh", "-e", "-c", steps[0].command], capture_output=True, timeout=scaled(10), check=True
    ).stdout
    assert printed == (value * 2).encode()


def test_names_of_cells_and_values_in_them() -> None:
    matrix = Matrix({"depth": (4, 8), "rate": (0.05,)})
    train = StepSpec(
        "train",
        run="t ${{ matrix.depth }}",
        matrix=matrix,
        outputs=("m-${{ matrix.depth }}/",),
        env={"D": "${{ matrix.depth }}"},
    )
    steps = build(
        pipeline(
            train,
            StepSpec("all", run="true", needs=("train",)),
            StepSpec("one", run="true", needs=("train[depth=8,rate=0.05]",)),
        )
    )
    assert [step.name for step in steps] == ["train[depth=4,rate=0.05]", "train[depth=8,rate=0.05]", "all", "one"]
    assert steps[0].command == "t '4'"
    assert steps[0].outputs == ("m-4/",)
    assert steps[1].env == {"D": "8"}
    assert steps[2].needs == (steps[0].name, steps[1].name)
    assert steps[3].needs == ("train[depth=8,rate=0.05]",)
    assert ancestors(steps, "one") == ["train[depth=8,rate=0.05]"]


def test_written_order_is_kept_where_it_can_be() -> None:
    steps = build(
        pipeline(
            *(
                StepSpec(name, run="true", needs=needs)
                for name, needs in [("c", ("a",)), ("b", ()), ("a", ()), ("d", ())]
            )
        )
    )
    assert [step.name for step in steps] == ["b", "a", "c", "d"]


@pytest.mark.parametrize(
    ("steps", "params", "words", "hint"),
    [
        ([StepSpec("train", run="true"), StepSpec("b", run="true", needs=("trian",))], {}, "needs 'trian'", "'train'"),
        (
            [StepSpec("a", run="true", matrix=Matrix({"x": (1,)}, exclude=({"x": 1},)))],
            {},
            "nothing is left",
            "exclude",
        ),
        (
            [StepSpec("a", run="true", matrix=Matrix({"x": tuple(range(200)), "y": tuple(range(200))}))],
            {},
            "40,000 cells",
            "1,000",
        ),
    ],
)
def test_what_is_wrong_is_said(steps: list[StepSpec], params: dict[str, str], words: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(pipeline(*steps), params)
    assert words in caught.value.message
    assert hint in caught.value.message


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(UsageError, match="no parameter 'untli'") as caught:
        build(pipeline(StepSpec("a", run="true"), until="1"), {"untli": "2"})
    assert "until" in caught.value.hint


def test_a_chain_of_thousands_does_not_exhaust_the_stack() -> None:
    steps = build(pipeline(*(StepSpec(f"s{n}", run="true", needs=(f"s{n - 1}",) if n else ()) for n in range(5000))))
    assert [step.name for step in steps] == [f"s{n}" for n in range(5000)]
