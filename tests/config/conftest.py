from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from podium.core.config import load
from podium.core.domain.project import Project
from podium.core.errors import ConfigError, Problem


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Project]:
    """Loads a podium.yaml with this text, in an environment with nothing but these variables."""

    def read(text: str | bytes, **environ: str) -> Project:
        data = textwrap.dedent(text).encode() if isinstance(text, str) else text
        (tmp_path / "podium.yaml").write_bytes(data)
        return load(tmp_path, environ=environ)

    return read


@pytest.fixture
def problems(read: Callable[..., Project]) -> Callable[..., tuple[Problem, ...]]:
    """The problems of a podium.yaml that has to be refused."""

    def problems(text: str | bytes, **environ: Any) -> tuple[Problem, ...]:
        with pytest.raises(ConfigError) as caught:
            read(text, **environ)
        assert caught.value.exit_code == 2
        assert caught.value.problems
        return caught.value.problems

    return problems
