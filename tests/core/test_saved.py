from __future__ import annotations

from pathlib import Path
from typing import TextIO

import pytest
from podium.core.cockpit import save
from podium.core.errors import Refused


def test_a_new_file_is_written_and_none_is_written_over(tmp_path: Path) -> None:
    path, number = save(tmp_path, "a.md", lambda file: file.write("\ud800é"))
    assert path.read_text("utf-8") == "?é" and number == 2
    for name in ("a.md", str(path)):
        with pytest.raises(Refused, match="exists already"):
            save(tmp_path, name, lambda file: file.write("other"))
    assert path.read_text("utf-8") == "?é"


@pytest.mark.parametrize("name", ["~nobody-of-that-name/a.md", "a\0.md", "none/a.md", "a" * 300, "/dev/null/a"])
def test_a_name_that_cannot_be_written_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match=r"cannot be written: \w"):
        save(tmp_path, name, lambda file: file.write("text"))
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_to_its_end_leaves_no_half(tmp_path: Path) -> None:
    def fail(file: TextIO) -> None:
        file.write("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(Refused, match="No space left"):
        save(tmp_path, "a.log", fail)
    assert not list(tmp_path.iterdir())
