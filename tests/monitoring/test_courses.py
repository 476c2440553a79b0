"""The course of a monitor: thinned out without losing what matters, and placed in cells of equal time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from podium.core.domain.delivery import Deployment, DeploymentState, How
from podium.core.domain.monitoring import Measurement, MonitorKind
from podium.core.domain.monitors.courses import Course, Mark, course
from podium.core.journal import Journal

from .conftest import deploy


def measured(at: float, value: float | None = 0.5, **more: float) -> Measurement:
    return Measurement("m", "production", MonitorKind.QUALITY, at, value, **more)


def deployed(version: int, ended: float) -> Deployment:
    return Deployment(
        1, "production", How.PROMOTE, DeploymentState.SUCCEEDED, "shop", version, None, 0.0, "anna", ended=ended
    )


def test_a_long_course_keeps_its_end_and_is_spread_over_its_time() -> None:
    many = [measured(float(at), float(at)) for at in range(1000)]
    found = course(many, (), 50)
    assert len(found.past) == 50 and found.past[-1].at == 999.0
    assert max(later.at - earlier.at for earlier, later in pairwise(found.past)) <= 21
    assert course(many[:50], (), 50).past == tuple(many[:50]), "a short one stays as it is"


def test_thinning_out_prefers_a_value_to_none() -> None:
    many = [measured(float(at), None if at % 10 else 1.0) for at in range(200)]
    assert all(each.value == 1.0 for each in course(many, (), 20).past)
    assert len(course([measured(float(at), None) for at in range(200)], (), 20).past) == 20


def test_versions_that_began_before_or_after_are_no_part_of_it() -> None:
    past = [measured(10.0), measured(20.0)]
    found = course(past, [deployed(1, 9.0), deployed(3, 20.0), deployed(2, 10.0), deployed(4, 21.0)], 50)
    assert found.marks == (Mark(10.0, 2, How.PROMOTE), Mark(20.0, 3, How.PROMOTE))
    assert course((), [deployed(1, 9.0)], 50) == Course()


def test_cells_of_equal_time_have_their_last_value_or_none() -> None:
    found = Course((measured(0.0, 1.0), measured(1.0, 2.0), measured(2.0, None), measured(10.0, 3.0)))
    assert [each and each.value for each in found.cells(5)] == [2.0, None, None, None, 3.0]
    assert Course((measured(5.0, 1.0),)).cells(3)[-1] is not None, "a course of one moment is at its end"
    assert Course().cells(3) == [None] * 3


def test_bounds_have_room_for_intervals_and_what_was_promised() -> None:
    found = Course((measured(0.0, 0.5, low=0.4, high=0.6, baseline=0.9), measured(1.0, None, low=0.0)))
    assert found.bounds == (0.4, 0.9)
    assert Course((measured(0.0, None),)).bounds is None


def test_the_ledger_has_the_deployments_of_a_time(journal: Journal) -> None:
    deploy(journal, 4)
    rows = journal.ledger.history("production")
    ends = [each.ended or 0.0 for each in rows]
    assert [each.to_version for each in journal.ledger.between("production", 0.0, ends[0] + 1)] == [3, 4]
    assert [each.to_version for each in journal.ledger.between("production", 0.0, ends[0] + 1, limit=1)] == [4]
    assert journal.ledger.between("production", ends[0] + 1, ends[0] + 2) == []
    assert journal.ledger.between("staging", 0.0, ends[0] + 1) == []


@pytest.mark.parametrize("cells", [1, 7, 60])
def test_a_mark_is_in_the_cell_of_its_moment(cells: int) -> None:
    found = Course((measured(0.0), measured(100.0)), (Mark(50.0, 2, How.DEPLOY), Mark(51.0, 3, How.ROLLBACK)))
    assert set(found.marked(cells)) <= set(range(cells))
    assert found.marked(cells)[found.place(51.0, cells)].version == 3
