"""Frozen dataclasses that are made late are dataclasses like any other."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, asdict, field, fields, is_dataclass, replace

import pytest
from podium.core.domain.frozen import Frozen
from podium.core.domain.models import Version


class Point(Frozen):
    """A point."""

    x: int
    y: int = 0
    marks: Mapping[str, int] = field(default_factory=dict[str, int], compare=False)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x is negative")


class Named(Point):
    name: str = ""


def test_a_value_is_that_of_a_frozen_dataclass() -> None:
    point = Point(1, y=2, marks={"a": 1})
    assert point == Point(1, 2) and hash(point) == hash(Point(1, 2))
    assert repr(point) == "Point(x=1, y=2, marks={'a': 1})" and point != (1, 2)
    assert asdict(point) == {"x": 1, "y": 2, "marks": {"a": 1}} and replace(point, x=5) == Point(5, 2)
    with pytest.raises(FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(ValueError, match="negative"):
        Point(-1)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]
    match point:
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_what_is_asked_of_the_class_comes_before_any_value() -> None:
    class Base(Frozen):
        a: int = 1

    class More(Base):
        b: int = 2

    class Plain(More):
        pass

    assert is_dataclass(Plain) and [each.name for each in fields(More)] == ["a", "b"]
    assert Plain(3).a == 3 and Plain(3) == Plain(3, 2) and replace(Plain(3), b=4) == Plain(3, 4)
    assert repr(Named(1, name="n")) == "Named(x=1, y=0, marks={}, name='n')"


def test_a_copy_and_a_pickled_value_are_equal_also_where_it_is_the_first_one() -> None:
    point = Named(1, marks={"a": 1}, name="n")
    assert copy.deepcopy(point) == copy.copy(point) == pickle.loads(pickle.dumps(point)) == point
    script = (
        "import pickle, sys; found = pickle.loads(sys.stdin.buffer.read()); copy = pickle.loads(pickle.dumps(found))\n"
        "print(found == copy, repr(found))"
    )
    version = Version("m", 1, 2.0, metrics={"rmse": 0.5})
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=pickle.dumps(version),
        capture_output=True,
        timeout=60,
    )
    assert done.stdout.decode().strip() == f"True {version!r}", done.stderr.decode()


def test_several_threads_may_make_the_first_value() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        _race()
    finally:
        sys.setswitchinterval(before)


def _race() -> None:
    for _ in range(200):

        class Fresh(Frozen):
            x: int
            y: int = 2

        made: list[Fresh] = []
        start = threading.Barrier(3)

        def work(kind: type[Fresh] = Fresh, made: list[Fresh] = made, start: threading.Barrier = start) -> None:
            start.wait()
            made.append(kind(1))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made == [Fresh(1)] * 3
