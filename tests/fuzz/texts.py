"""podium.yaml, templates, logs, exposition text, HAProxy's statistics: what is read as text."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

from hypothesis import strategies as st
from podium.core.config import load
from podium.core.config.expressions import check_template, evaluate_when, render, shell_command, when_names
from podium.core.delivery.proxy.haproxy import RuntimeApi, ServerStat
from podium.core.domain.text import clean, one_line, parse_sgr, telling_line, visible
from podium.core.errors import ConfigError, PodiumError
from podium.core.logs.reader import LogFile
from podium.core.logs.search import search
from podium.core.telemetry import exposition, histograms

from tests.config.test_bad_files import values
from tests.config.test_expressions import CONTEXT
from tests.config.test_loading import FLIGHTS
from tests.telemetry.test_exposition import TEXT

from .running import Subject
from .strange import PIECES, as_bytes, changed, damaged, documents, written

EXAMPLE = (Path(__file__).parents[2] / "config.example.yaml").read_text()
FULL = (
    "# pxname,svname,qcur,scur,stot,econ,eresp,status,weight,lastchg,hrsp_4xx,hrsp_5xx,uweight,req_tot,addr,\n"
    + "".join(
        f"{row}\n"
        for row in (
            "traffic,FRONTEND,,3,120,,,OPEN,,,1,0,,120,,",
            "replicas,v1-1,0,1,60,0,0,UP,100,12,1,0,100,60,127.0.0.1:31000,",
            "replicas,v1-2,0,1,60,0,0,DOWN 1/3,100,12,0,0,100,60,127.0.0.1:31001,",
            "replicas,BACKEND,0,2,120,0,0,UP,200,12,1,0,200,120,,",
        )
    )
)


def texts(directory: Path) -> dict[str, Subject]:
    return {
        "podium.yaml": Subject(_configurations(), lambda data: _configuration(directory, data), 2),
        "templates": Subject(_templates(), _template),
        "logs": Subject(st.tuples(_logs(), st.text(max_size=6)), lambda given: _log(directory, *given), 2),
        "text that is shown": Subject(st.text() | st.lists(st.sampled_from(PIECES)).map("".join), _shown),
        "exposition text": Subject(damaged(TEXT) | st.text(), _exposition),
        "statistics of the proxy": Subject(_statistics(), _statistic),
    }


# podium.yaml


def _configurations() -> st.SearchStrategy[bytes]:
    import yaml

    document = yaml.safe_load(FLIGHTS.replace("on: {", "'on': {"))
    names = sorted({str(key) for key in _keys(yaml.safe_load(EXAMPLE.replace("on:", "'on':")))})
    return (
        damaged(FLIGHTS).map(as_bytes)
        | damaged(EXAMPLE).map(as_bytes)
        | st.binary(max_size=300)
        | changed(document).map(written)
        | documents(names).map(lambda found: written({"project": "p", **found} if isinstance(found, dict) else found))
        | values.map(lambda found: written({"project": "p", "environments": {"e": found}}))
    )


def _keys(document: Any) -> Iterator[Any]:
    if isinstance(document, dict):
        yield from document
    for each in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from _keys(each)


def _configuration(directory: Path, data: bytes) -> None:
    (directory / "podium.yaml").write_bytes(data)
    try:
        load(directory, environ={"GITHUB_TOKEN": "x"})
    except ConfigError as error:
        assert error.problems and all(problem.message for problem in error.problems)
    except PodiumError as error:
        assert error.message


# Templates


def _templates() -> st.SearchStrategy[str]:
    pieces = st.sampled_from([
        *("${{ params.x }}", "${{", "}}", "${{ matrix.depth }}", "${{ needs.train.state }}", "params.x", "==", "!=", "and", "or"),
        *("not", "(", ")", "'", '"', "\\", "$(", "`", "<<E\n", "E\n", "${a:-", "}", "$((", "))", "case x in", "esac", "#", "\n"),
        *("echo", "[[", "]]", "|", "&", ";", "\x00", "\u00e9", " "),
    ])  # fmt: skip
    return st.lists(pieces, max_size=14).map("".join) | st.text(max_size=40)


def _template(text: str) -> None:
    for attempt in (
        lambda: evaluate_when(text, CONTEXT),
        lambda: when_names(text),
        lambda: check_template(text, command=True),
        lambda: render(text, CONTEXT),
        lambda: shell_command(text, CONTEXT),
        lambda: shell_command(text + "${{ params.x }}", CONTEXT),
    ):
        with suppress(PodiumError):
            attempt()


# Logs


def _logs() -> st.SearchStrategy[bytes]:
    line = st.binary(max_size=30) | st.sampled_from(
        [
            b"2026-11-23T10:11:12.345Z o text",
            b"2026-11-23T10:11:12.345Z e \x1b[31mred",
            b"2026-99-99T10:11:12.345Z o x",
            b"",
        ]
    )
    return st.lists(line | damaged("2026-11-23T10:11:12.345Z c half a line").map(as_bytes), max_size=30).map(b"\n".join)


def _log(directory: Path, data: bytes, wanted: str) -> None:
    path = directory / "step.log"
    path.write_bytes(data)
    os.utime(path, (1.0, 1.0))
    file = LogFile(path)
    count = file.line_count()
    lines = file.lines(0, count)
    assert [line.number for line in lines] == list(range(count))
    assert [line.text for line in file.tail(3)] == [line.text for line in lines][-3:]
    for line in lines:
        _shown(line.text)
    for regex in (False, True):
        with suppress(PodiumError):
            found = search(file, wanted, start=None, backwards=False, regex=regex, ignore_case=True, stop=Event())
            assert found is None or 0 <= found < count


def _shown(text: str) -> None:
    """Nothing that a terminal obeys is left."""
    for found in (clean(text), one_line(text), one_line(telling_line(text)), visible(text), parse_sgr(text)[0]):
        assert not any((ord(letter) < 32 and letter != "\t") or 127 <= ord(letter) < 160 for letter in found), found
        found.encode()
    assert "\n" not in one_line(text) + telling_line(text)
    plain, spans = parse_sgr(text)
    assert all(0 <= start < end <= len(plain) for start, end, _ in spans)


# What replicas and the proxy say of themselves


def _exposition(text: str) -> None:
    points = exposition.parse(text)
    assert all(isinstance(point.value, float) for point in points)
    for name in {point.name for point in points}:
        buckets = histograms.histogram(points, name.removesuffix("_bucket"))
        for share in (0.0, 0.5, 0.99, 1.0):
            found = histograms.quantile(buckets, share)
            assert found is None or not math.isnan(found)
        histograms.difference(buckets, buckets)


def _statistics() -> st.SearchStrategy[str]:
    """Whole, damaged, or cut off in the middle: the proxy ended while it answered."""
    return damaged(FULL) | st.integers(0, len(FULL)).map(lambda end: FULL[:end]) | st.text()


def _statistic(text: str) -> None:
    try:
        found = RuntimeApi(lambda _: text).stats()
    except PodiumError as error:
        assert error.message
    else:
        assert all(isinstance(each, ServerStat) and isinstance(each.up, bool) for each in found)
