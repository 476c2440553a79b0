"""Requests that are predicted together answer as they do apart, and what goes wrong stays with the request to blame."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cloudpickle
import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.pyfunc import PythonModel
from mlflow.types import ColSpec, TensorSpec
from podium.core.serving import batching, scoring
from podium.core.serving.app import App
from podium.core.serving.guard import MAX_BATCH, Guard
from podium.core.serving.options import Options, parse
from podium.core.serving.scoring import Scorer, ScoringAnswer

from tests.serving.models import NAMES, TYPES, save_sklearn, signature

JSON = {"content-type": "application/json"}


class RowByRow(PythonModel):
    """Repeats each row, with the types of its cells, and nothing of the others."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        if isinstance(model_input, pd.DataFrame):
            kinds = "|".join(f"{name}:{dtype}" for name, dtype in model_input.dtypes.items())
            return [f"{kinds} {row!r}" for row in model_input.itertuples(index=False, name=None)]
        if isinstance(model_input, dict):
            return [
                " ".join(f"{name}={array.dtype} {array[row].tolist()!r}" for name, array in model_input.items())
                for row in range(len(next(iter(model_input.values()))))
            ]
        return [f"{model_input.dtype} {row.tolist()!r}" for row in model_input]


class Sums(PythonModel):
    """Answers a row by all of them: nothing to be predicted together."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return np.full(len(model_input), float(model_input["d"].sum()))


class Two(PythonModel):
    """Answers two values, whatever it is asked."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return np.array([1.0, 2.0])


class Fussy(PythonModel):
    """Column `d` says what happens to everything that is asked at once."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        if (model_input["d"] == 13).any():
            raise ValueError("not today")
        return model_input["d"] * 2


def kinds() -> dict[str, tuple[PythonModel, Any]]:
    one = signature(ColSpec("double", "d"))
    return {
        "typed": (RowByRow(), signature(*(ColSpec(kind, name) for kind, name in zip(TYPES, NAMES, strict=True)))),
        "uniform": (RowByRow(), signature(ColSpec("double", "a"), ColSpec("double", "b"))),
        "bare": (RowByRow(), None),
        "tensor": (RowByRow(), signature(TensorSpec(np.dtype("float64"), (-1, 2)))),
        "tensors": (
            RowByRow(),
            signature(TensorSpec(np.dtype("int64"), (-1, 2), "a"), TensorSpec(np.dtype("float32"), (-1,), "b")),
        ),
        "sums": (Sums(), one),
        "two": (Two(), one),
        "fussy": (Fussy(), one),
    }


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns the directory of a model by name."""
    directory = tmp_path_factory.mktemp("batches")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])

    def of(name: str) -> Path:
        path = directory / name
        if path.exists():
            return path
        if name == "sklearn":
            save_sklearn(path)
        else:
            model, given = kinds()[name]
            mlflow.pyfunc.save_model(path, python_model=model, signature=given, pip_requirements=["mlflow"])
        return path

    return of


@pytest.fixture(scope="session")
def scorers(rows: Callable[[str], Path]) -> Callable[[str], Scorer]:
    made: dict[str, Scorer] = {}

    def of(name: str) -> Scorer:
        if name not in made:
            made[name] = scoring.load(rows(name))
        return made[name]

    return of


@dataclass
class Replica:
    """An app that gathers requests, in a loop of its own."""

    app: App
    loop: asyncio.AbstractEventLoop

    def ask(self, bodies: Sequence[bytes], headers: dict[str, str] | None = None) -> list[httpx.Response]:
        """Sends all at once; returns the answers in the same order."""

        async def call() -> list[httpx.Response]:
            transport = httpx.ASGITransport(cast("Any", self.app), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
                every = [
                    client.post(
                        "/invocations", content=body, headers={**JSON, "x-request-id": f"r{n}", **(headers or {})}
                    )
                    for n, body in enumerate(bodies)
                ]
                return list(await asyncio.gather(*every))

        return self.loop.run_until_complete(call())

    @property
    def batched(self) -> int:
        return self.app.metrics.events["batched"]


@pytest.fixture
def replica(scorers: Callable[[str], Scorer], tmp_path: Path) -> Iterator[Callable[..., Replica]]:
    loop = asyncio.new_event_loop()
    made: list[App] = []

    def of(name: str, **options: Any) -> Replica:
        chosen = {"batch_max": 64, "batch_wait": 0.05, **options}
        app = App(Options(tmp_path, 0, **chosen))
        app.ready(scorers(name))
        made.append(app)
        return Replica(app, loop)

    yield of
    for app in made:
        app.close()
    loop.close()


def split(columns: Sequence[str], *data: Sequence[Any]) -> bytes:
    return json.dumps({"dataframe_split": {"columns": list(columns), "data": [list(row) for row in data]}}).encode()


def alone(scorer: Scorer, bodies: Sequence[bytes]) -> list[tuple[int, bytes]]:
    return [(answer.status, answer.body) for answer in (scorer.answer(body, "application/json") for body in bodies)]


def test_requests_that_arrive_together_are_predicted_together_and_each_gets_its_own_answer(
    replica: Callable[..., Replica], scorers: Callable[[str], Scorer]
) -> None:
    made = replica("uniform")
    bodies = [split("ab", *[(n, row) for row in range(1 + n % 3)]) for n in range(20)]
    answers = made.ask(bodies)
    assert [(each.status_code, each.content) for each in answers] == alone(scorers("uniform"), bodies)
    assert [each.headers["x-request-id"] for each in answers] == [f"r{n}" for n in range(20)]
    assert made.app.metrics.events == {**made.app.metrics.events, "batches": 1, "batched": 20}
    assert made.app.metrics.codes == {200: 20} and made.app.metrics.rows == sum(1 + n % 3 for n in range(20))
    assert made.app.metrics.in_flight == 0


def test_no_batch_is_larger_than_it_may_be(replica: Callable[..., Replica]) -> None:
    made = replica("uniform", batch_max=4)
    assert {each.status_code for each in made.ask([split("ab", (n, n)) for n in range(10)])} == {200}
    assert made.app.metrics.events["batches"] >= 2 and made.batched >= 8


def test_without_the_option_each_request_is_predicted_alone(replica: Callable[..., Replica]) -> None:
    made = replica("uniform", batch_max=0)
    assert {each.status_code for each in made.ask([split("ab", (n, n)) for n in range(10)])} == {200}
    assert made.batched == 0


CELLS = {
    "d": st.one_of(st.none(), st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False, width=32)),
    "f": st.one_of(st.integers(-9, 9), st.floats(-8, 8, width=16)),
    "l": st.integers(-(2**62), 2**62),
    "i": st.integers(-(2**30), 2**30),
    "b": st.booleans(),
    "s": st.text(max_size=4),
}
WRONG = st.sampled_from([None, "x", 1.5, [1], {}])


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A request for `typed`, now and then one that is wrong in some way."""
    names = draw(st.permutations(NAMES))
    data = [[draw(CELLS[name]) for name in names] for _ in range(draw(st.integers(1, 3)))]
    if draw(st.integers(0, 7)) == 0:
        data[-1][draw(st.integers(0, 5))] = draw(WRONG)
    if draw(st.booleans()):
        return json.dumps({"dataframe_records": [dict(zip(names, row, strict=True)) for row in data]}).encode()
    return split(names, *data)


NUMBERS = st.one_of(st.integers(-9, 9), st.floats(-8, 8, width=16))
FORMS = st.sampled_from(["inputs", "instances"])


@st.composite
def arrays(draw: st.DrawFn) -> bytes:
    """A request of numbers in rows, of some width and depth, or of words, or ragged."""
    width, cell = draw(st.integers(1, 3)), draw(st.sampled_from([NUMBERS, st.integers(0, 9), st.text(max_size=2)]))
    row = draw(st.sampled_from([st.lists(cell, min_size=width, max_size=width), cell, st.lists(cell, max_size=3)]))
    return json.dumps({draw(FORMS): draw(st.lists(row, min_size=0, max_size=3))}).encode()


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A table for a model without a signature: its types are what the cells happen to be."""
    names = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True))
    cell = draw(st.sampled_from([NUMBERS, st.integers(0, 9), st.text(max_size=2), st.booleans(), st.none()]))
    return split(
        names, *draw(st.lists(st.lists(cell, min_size=len(names), max_size=len(names)), min_size=1, max_size=3))
    )


@st.composite
def pairs(draw: st.DrawFn) -> bytes:
    """A request for `tensor`: numbers in twos."""
    return json.dumps({draw(FORMS): draw(st.lists(st.lists(NUMBERS, min_size=2, max_size=2), max_size=3))}).encode()


@st.composite
def named(draw: st.DrawFn) -> bytes:
    """A request for `tensors`."""
    rows = draw(st.integers(1, 3))
    first = draw(st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2), min_size=rows, max_size=rows))
    second = draw(st.lists(NUMBERS, min_size=rows, max_size=rows))
    return json.dumps({"inputs": {"a": first, "b": second}}).encode()


def together(scorer: Scorer, bodies: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """What the bodies are answered in batches of one form each, as Batcher makes them; alone those without a form."""
    forms: dict[Any, list[int]] = {}
    found = alone(scorer, bodies)
    prepared = [scorer.prepare(body, "application/json") for body in bodies]
    for number, each in enumerate(prepared):
        if each is not None:
            forms.setdefault(each.form, []).append(number)
    for numbers in forms.values():
        answers = scorer.together([cast("Any", prepared[number]) for number in numbers])
        assert answers is not None
        for number, answer in zip(numbers, answers, strict=True):
            found[number] = (answer.status, answer.body)
    return found


@pytest.mark.parametrize(
    ("model", "requests"),
    [("typed", tables()), ("bare", arrays()), ("bare", frames()), ("tensor", pairs()), ("tensors", named())],
    ids=["typed", "arrays", "frames", "tensor", "tensors"],
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_made_up_requests_are_answered_together_as_apart(
    scorers: Callable[[str], Scorer], model: str, requests: st.SearchStrategy[bytes], data: st.DataObject
) -> None:
    bodies = data.draw(st.lists(requests, min_size=2, max_size=8))
    scorer = scorers(model)
    assert together(scorer, bodies) == alone(scorer, bodies)


def test_a_real_model_answers_together_as_apart_up_to_the_last_digits(scorers: Callable[[str], Scorer]) -> None:
    scorer = scorers("sklearn")
    random = np.random.default_rng(3)
    bodies = [split("abc", *random.normal(size=(size, 3)).tolist()) for size in (1, 2, 1, 7, 1, 1, 30)]
    prepared = [scorer.prepare(body, "application/json") for body in bodies]
    assert len({each.form for each in prepared if each}) == 1
    answers = scorer.together([cast("Any", each) for each in prepared])
    assert answers is not None
    for answer, body in zip(answers, bodies, strict=True):
        one = scorer.answer(body, "application/json")
        assert batching.alike(answer, one) and answer.rows == one.rows
        np.testing.assert_allclose(
            json.loads(answer.body)["predictions"], json.loads(one.body)["predictions"], rtol=1e-12, atol=1e-14
        )


def test_only_requests_of_one_form_are_predicted_together(scorers: Callable[[str], Scorer]) -> None:
    bare = scorers("bare")

    def form(request: object) -> object:
        found = bare.prepare(json.dumps(request).encode(), "application/json")
        return found and found.form

    table = {"columns": ["a", "b"], "data": [[1, "x"]]}
    assert form({"dataframe_split": table}) == form({"dataframe_split": {**table, "data": [[2, "y"], [3, "z"]]}})
    different = [
        {"dataframe_split": table},
        {"dataframe_split": {**table, "columns": ["b", "a"]}},
        {"dataframe_split": {**table, "data": [[1.5, "x"]]}},
        {"inputs": [[1, 2]]},
        {"inputs": [[1.0, 2]]},
        {"inputs": [[1, 2, 3]]},
        {"inputs": [1, 2]},
        {"inputs": ["a"]},
        {"inputs": ["ab"]},
        {"inputs": {"a": [1], "b": [1.5]}},
    ]
    assert len({form(each) for each in different}) == len(different)
    apart: list[object] = [
        {"dataframe_split": {**table, "index": [7]}},
        {"inputs": []},
        {"inputs": 5},
        {"inputs": {"a": [1], "b": [1, 2]}},
        {"inputs": [[1], [1, 2]]},
        {"inputs": [1], "params": {}},
        [1],
    ]
    assert [form(each) for each in apart] == [None] * len(apart)
    assert bare.prepare(b"a,b\n1,2\n", "text/csv") is None and bare.prepare(b"{", "application/json") is None


def test_a_request_that_fails_fails_alone(replica: Callable[..., Replica], scorers: Callable[[str], Scorer]) -> None:
    made = replica("fussy")
    bodies = [split("d", (n,)) for n in range(20)]
    answers = made.ask(bodies)
    assert [(each.status_code, each.content) for each in answers] == alone(scorers("fussy"), bodies)
    assert [each.status_code for each in answers].count(200) == 19
    unreadable = [b"{", split("x", (1,)), split("d", ("x",)), *bodies[:3]]
    answers = made.ask(unreadable)
    assert [(each.status_code, each.content) for each in answers] == alone(scorers("fussy"), unreadable)
    assert made.batched == 3, "the good ones"


@pytest.mark.parametrize("name", ["sums", "two"])
def test_a_model_that_does_not_answer_row_by_row_is_asked_apart_from_then_on(
    replica: Callable[..., Replica],
    scorers: Callable[[str], Scorer],
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = replica(name)
    bodies = [split("d", (n + 1,)) for n in range(2 if name == "two" else 5)]
    for _ in range(2):
        answers = made.ask(bodies)
        assert [(each.status_code, each.content) for each in answers] == alone(scorers(name), bodies)
    assert made.batched == 0
    assert capsys.readouterr().err.count("not predicted together any more") == 1


def test_a_batch_that_is_late_is_answered_as_a_request_that_is_late(replica: Callable[..., Replica]) -> None:
    made = replica("uniform", timeout=0.2)
    scorer = made.app.scorer
    assert scorer is not None
    go = asyncio.Event()
    real, slow = scorer.together, __import__("threading").Event()

    def late(requests: Any) -> Any:
        slow.wait(30)
        return real(requests)

    scorer.together = late  # type: ignore[method-assign]
    try:
        answers = made.ask([split("ab", (n, n)) for n in range(3)])
    finally:
        slow.set()
        del scorer.together
    assert [each.status_code for each in answers] == [504] * 3 and not go.is_set()


def test_captures_are_of_single_requests(scorers: Callable[[str], Scorer], tmp_path: Path) -> None:
    from podium.core.serving.recorder import Recorder

    recorder = Recorder(tmp_path, name="x", rate=1.0, limit=1 << 20)
    app = App(Options(tmp_path, 0, batch_max=8, batch_wait=0.05), recorder)
    app.ready(scorers("uniform"))
    loop = asyncio.new_event_loop()
    bodies = [split("ab", (n, n)) for n in range(6)]
    answers = Replica(app, loop).ask(bodies)
    app.close()
    loop.close()
    kept = [json.loads(line) for line in (tmp_path / "capture-x.jsonl").read_text().splitlines()]
    assert sorted((each["request_id"], each["input"], each["output"]) for each in kept) == [
        (f"r{n}", body.decode(), answer.text) for n, (body, answer) in enumerate(zip(bodies, answers, strict=True))
    ]
    assert app.metrics.events["batched"] == 6


def test_every_request_of_a_batch_that_ended_its_process_is_suspected_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "guard"
    here = Guard(path, "v1", say=print)
    bodies = [b"%d" % number for number in range(MAX_BATCH)]
    child = os.fork()
    if child == 0:
        there = Guard(path, "v1", batches=True, say=print)
        there.begin_batch([there.digest(body, None) for body in bodies[:3]])
        there.end()
        there.begin_batch([there.digest(body, None) for body in bodies])
        os._exit(9)
    os.waitpid(child, 0)
    digests = [here.digest(body, None) for body in bodies]
    other = here.digest(b"other", None)
    assert here.deaths(other) == 0, "whoever asks first counts the deaths of all"
    assert here.suspected([*digests, other]) == dict.fromkeys(digests, 1)
    here.clear(digests[0])
    assert here.deaths(digests[0]) == 0 and here.deaths(digests[1]) == 1


def test_a_batch_of_a_process_that_lives_suspects_nobody(tmp_path: Path) -> None:
    path = tmp_path / "guard"
    here = Guard(path, "v1", say=print)
    reading, writing = os.pipe()
    told, telling = os.pipe()
    child = os.fork()
    if child == 0:
        there = Guard(path, "v1", batches=True, say=print)
        there.begin_batch([there.digest(b"a", None)])
        os.write(telling, b"x")
        os.read(reading, 1)
        there.end()
        os._exit(0)
    os.read(told, 1)
    assert here.deaths(here.digest(b"a", None)) == 0
    os.write(writing, b"x")
    os.waitpid(child, 0)
    assert here.deaths(here.digest(b"a", None)) == 0
    for descriptor in (reading, writing, told, telling):
        os.close(descriptor)


def test_what_a_suspect_was_gathered_with_is_answered_and_the_suspect_apart(
    replica: Callable[..., Replica], tmp_path: Path
) -> None:
    made = replica("uniform", guard=tmp_path / "guard")
    bodies = [split("ab", (n, n)) for n in range(4)]
    guard = Guard(tmp_path / "guard", "\0".join(["", "", str(tmp_path)]), say=print)
    guard.died(guard.digest(bodies[0], "application/json"))
    answers = made.ask(bodies)
    assert [each.status_code for each in answers] == [200] * 4
    assert made.batched == 3 and made.app.metrics.events["answered_apart"] == 1


def test_options_of_batches() -> None:
    asked = ["--model", "m", "--port", "1"]
    assert (parse(asked, {}).batch_max, parse(asked, {}).batch_wait) == (0, 0.002)
    told = {"PODIUM_SERVING_BATCH_MAX": "32", "PODIUM_SERVING_BATCH_WAIT": "0.01"}
    assert (parse(asked, told).batch_max, parse(asked, told).batch_wait) == (32, 0.01)
    for wrong in ("65", "-1", "x"):
        with pytest.raises(SystemExit):
            parse([*asked, "--batch-max", wrong], {})


def test_answers_are_alike_up_to_the_last_digits_only() -> None:
    def answer(value: object, status: int = 200) -> ScoringAnswer:
        return ScoringAnswer(status, json.dumps({"predictions": value}).encode())

    assert batching.alike(answer([0.1, float("nan")]), answer([0.1 + 1e-12, float("nan")]))
    different = [([1.0], [1]), ([1.0], [1.001]), ([1], [2]), (["a"], ["b"]), ([{"a": 1}], [{"b": 1}]), ([1], [1, 1])]
    assert not any(batching.alike(answer(one), answer(other)) for one, other in different)
    assert not batching.alike(answer([0.1], 500), answer([0.1 + 1e-12]))
