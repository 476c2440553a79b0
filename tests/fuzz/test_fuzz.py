"""Each subject for a moment, or for PODIUM_FUZZ_MINUTES."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving.conftest import Pair

from .answers import answers
from .bodies import bodies
from .notes import notes
from .rows import rows
from .running import MINUTES, fuzz
from .texts import texts

pytestmark = pytest.mark.timeout(180 + 90 * MINUTES)

TEXTS = ("podium.yaml", "templates", "logs", "text that is shown", "exposition text", "statistics of the proxy")
ANSWERS = (
    *("answers of MLflow", "answers of Git hosts", "answers of models"),
    *("what replicas have written", "tables of labels", "signatures of webhooks"),
)
NOTES = ("tags", "claims", "leases", "jobs", "statements", "events of Terraform")
ROWS = ("rows of the journal", "rows of MLflow's store")
BODIES = ("requests to the scoring server",)


@pytest.mark.parametrize("subject", TEXTS)
def test_texts(tmp_path: Path, subject: str) -> None:
    assert fuzz(texts(tmp_path)[subject])


@pytest.mark.parametrize("subject", ANSWERS)
def test_answers(tmp_path: Path, subject: str) -> None:
    assert fuzz(answers(tmp_path)[subject])


@pytest.mark.parametrize("subject", NOTES)
def test_notes(subject: str) -> None:
    assert fuzz(notes()[subject])


@pytest.mark.parametrize("subject", ROWS)
def test_rows(tmp_path: Path, subject: str) -> None:
    if not MINUTES and subject == ROWS[0]:
        pytest.skip("not every column of the journal is named yet when it is damaged: PODIUM_FUZZ_MINUTES finds which")
    assert fuzz(rows(tmp_path)[subject])


@pytest.mark.parametrize("subject", BODIES)
def test_requests(pair: Callable[[str], Pair], subject: str) -> None:
    assert fuzz(bodies(pair)[subject])


def test_every_subject_is_among_them(tmp_path: Path) -> None:
    assert (set(texts(tmp_path)), set(answers(tmp_path)), set(rows(tmp_path))) == (set(TEXTS), set(ANSWERS), set(ROWS))
    assert set(notes()) == set(NOTES)
