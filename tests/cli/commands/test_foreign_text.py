"""What commands say with words of servers, of a project or of other accounts: nothing in them steers the terminal."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from podium.cli import completion, guard, session
from podium.cli.commands import delivery, models
from podium.cli.commands.compute import cluster
from podium.cli.text import diagnostics, output
from podium.core.domain.attention import Need, Reason
from podium.core.domain.machines.cluster import Share
from podium.core.domain.machines.machine import MachineGpu, MachineStatus
from podium.core.domain.models import TAG_DATASET, Version
from podium.core.engine.executors.ray.cluster import status
from podium.core.errors import ConfigError, Problem, Refused, Unreachable
from podium.core.journal import Journal
from podium.core.registry.snapshot import ABSENT

from tests.cli.conftest import PODIUM, Call

HOSTILE = "a\x1b[2Jb\x9bc"
ACTS = "\x1b]0;pwned\x07\x1b[2J\x9b31m\u202e\r\b"


def harmless(text: str) -> bool:
    """Whether a terminal does nothing with a text but show it."""
    return not any(
        (ord(each) < 32 and each not in "\n\t") or 127 <= ord(each) < 160 or each == "\u202e" for each in text
    )


def test_why_the_registry_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    def refresh() -> None:
        raise Unreachable(HOSTILE)

    config = SimpleNamespace(mlflow=SimpleNamespace(by_client=False))
    cockpit: Any = SimpleNamespace(
        models=SimpleNamespace(refresh=refresh, list=lambda: ["m"]), project=SimpleNamespace(config=config)
    )
    models.refresh(cockpit, offline=False)
    assert capsys.readouterr().err == "podium: ab; this is its last known state\n"


def test_the_command_of_a_need() -> None:
    need = Need(0, Reason.DOWN, "e", "proxy is gone", command=f"podium repair -e {HOSTILE}")
    assert delivery._need_line(need) == "e: proxy is gone (`podium repair -e ab`)"


# The functions that write


@pytest.fixture
def in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics, "colourful", lambda stream=None: True)


def test_the_only_escapes_in_a_line_are_ours(in_colour: None, capsys: pytest.CaptureFixture[str]) -> None:
    diagnostics.note("a", diagnostics.paint(f"b{ACTS}", "green"), f"{ACTS}c\nd")
    diagnostics.note(f"e{ACTS}f", style="red")
    diagnostics.note(f"{diagnostics.paint('lost', 'red')}", style="dim")
    assert capsys.readouterr().err == ("a\x1b[32mb \x1b[0m c d\n\x1b[31me f\x1b[0m\n\x1b[2mlost\x1b[0m\n"), (
        "what an f-string makes of colours is text"
    )
    diagnostics.notes([f"one{ACTS}", "\x1b[31mtwo\tx"], (diagnostics.paint("step", "cyan"), " | "))
    assert capsys.readouterr().err == "\x1b[36mstep\x1b[0m | one\n\x1b[36mstep\x1b[0m | two\tx\n"


def test_a_piece_reaches_into_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    output.line("kept ", "\r\b\b\b\b\b", "also \x1b]0;", " and this")
    output.line("kept \rmore \x1b]0; and this")
    assert capsys.readouterr().out == "kept  also 0; and this\nkept  more 0; and this\n"


@pytest.mark.parametrize(
    "write", [diagnostics.note, diagnostics.hint, diagnostics.ask, diagnostics.redraw, output.line]
)
def test_no_writer_lets_a_text_act(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    write(f"x{ACTS}y")
    printed = capsys.readouterr()
    assert harmless(printed.out + printed.err) and "pwned" not in printed.out + printed.err


def test_titles_names_and_documents(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows(output.Format.TABLE, (output.Column(f"M{ACTS}".upper()),), [("1",)], ())
    output.pairs([(f"name{ACTS}", f"value{ACTS}")])
    output.lines(f"| a{ACTS} |\n| b\tc |")
    assert capsys.readouterr().out == "M\n1\nname  value\n| a  |\n| b\tc |\n"


def test_errors_and_their_hints(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PODIUM_DEBUG", raising=False)
    errors = [
        Unreachable(f"server{ACTS}\nsays {ACTS}", hint=f"ask{ACTS}\nagain"),
        ConfigError([Problem(f"bad{ACTS}", "podium.yaml", 1, 1, "x")]),
        OSError(2, "No such file", f"/tmp/{ACTS}"),
        ValueError(f"odd{ACTS}"),
    ]
    for error in errors:

        def fail(error: Exception = error) -> int:
            raise error

        assert guard._guarded(fail) != 0
        said = capsys.readouterr().err
        assert said.strip() and harmless(said), repr(said)
    monkeypatch.setenv("PODIUM_DEBUG", "1")
    assert guard._guarded(fail) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said and "odd" in said and harmless(said)


def test_what_opening_a_project_says(capsys: pytest.CaptureFixture[str]) -> None:
    session.tell(f"one{ACTS}\ntwo")
    assert capsys.readouterr().err == "one\n\ntwo\n"


def test_a_question(call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from podium.cli.interaction import confirm

    monkeypatch.setattr(diagnostics, "interactive", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("no\n"))
    with pytest.raises(Refused):
        confirm.ask([f"server{ACTS}"], f"send it to {ACTS}x", "")
    assert capsys.readouterr().err == "server \nsend it to  x? [y/N] "


def test_names_that_are_no_words_are_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    cockpit = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(session, "opened", lambda: cockpit)
    names = ["champion", "a\x1b[2J", "\\$(id)", "`id`", "x\ny", "churn:3", "größe", "a b", ""]
    assert completion._offered(lambda _: names, "") == ["champion", "churn:3", "größe"]


# Whole commands


class Head(BaseHTTPRequestHandler):
    """The dashboard of a Ray cluster whose every word is hostile."""

    NODE: ClassVar = {
        "node_id": f"n{ACTS}",
        "node_ip": f"10.0.0.1{ACTS}",
        "is_head_node": True,
        "state": "ALIVE",
        "state_message": f"well{ACTS}",
        "resources_total": {"CPU": 4, f"tpu{ACTS}": 1, "odd": ACTS},
    }
    JOB: ClassVar = {
        "submission_id": f"job{ACTS}",
        "status": f"PENDING{ACTS}",
        "message": ACTS,
        "driver_node_id": f"n{ACTS}",
        "metadata": {"project": f"shop{ACTS}", "run": "1", "step": ACTS, "asks": ACTS},
    }
    DEMANDS: ClassVar = [[{"CPU": 2, f"tpu{ACTS}": 1, "odd": ACTS}, f"3{ACTS}"]]
    ANSWERS: ClassVar[dict[str, Any]] = {
        "/api/version": {"ray_version": f"2.60{ACTS}", "version": "4"},
        "/api/v0/nodes": {"data": {"result": {"result": [NODE]}}},
        "/api/cluster_status": {"data": {"clusterStatus": {"loadMetricsReport": {"resourceDemand": DEMANDS}}}},
        "/api/jobs/": [JOB],
    }

    def do_GET(self) -> None:
        body = json.dumps(self.ANSWERS[self.path.partition("?")[0]]).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def hostile_head() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Head)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_head_of_a_cluster(call: Call, home: Path) -> None:
    with hostile_head() as address:
        (home / "podium.yaml").write_text(f"{PODIUM}ray: {{address: '{address}'}}\n")
        for form in ("table", "plain", "json"):
            done = call("cluster", "-o", form)
            assert done.code == 0, done.err
            assert harmless(done.out) and harmless(done.err), repr(done.out + done.err)
            assert "pwned" not in done.out + done.err
            assert form != "table" or "Ray 2.60 at http" in done.out
        assert "not to be had now: 3 × 2 CPU, 1 tpu" in call("cluster").err
        found = status(address)
    assert (found.version, found.nodes[0].id, found.jobs[0].node) == ("2.60", "n", "10.0.0.1")


def test_whose_a_gpu_is(capsys: pytest.CaptureFixture[str]) -> None:
    """The project and the step are what another account has written into its file of the queue."""
    gpu = MachineGpu("0", f"busy{ACTS}", f"run 1 of shop{ACTS} (train{ACTS})")
    machine = MachineStatus("here", Share(), Share(), (gpu,))
    cluster._show_machine(machine, output.Format.TABLE)
    assert capsys.readouterr().out.splitlines()[1] == "  busy , run 1 of shop  (train )"


def test_the_tags_of_a_version(call: Call, journal: Journal) -> None:
    tag = f"sha256:{'0' * 64} 12 rows, requests to {ACTS.replace(chr(13), '')}x 2027-01-15T08:00 to 2027-01-16T08:00"
    one = Version("small", 1, 0.0, tags={TAG_DATASET: tag}, metrics={f"auc{ACTS}": 1.0}, commit="e" * 40)
    assert one.learned is not None
    journal.versions.replace("small", [replace(one, aliases=("champion",))], ABSENT)
    done = call("lineage", "v1", "--offline")
    assert done.code == 0 and "version 1 learned from 12 rows, requests to x 2027-01-15T08:00" in done.err
    for words in (["lineage", "v1", "--offline"], ["show", "v1"], ["versions", "--offline"], ["models", "--offline"]):
        for form in ("table", "plain", "json"):
            done = call(*words, "-o", form)
            # Programs read JSON: marks of direction stay in it.
            out = done.out.replace("\u202e", "") if form == "json" else done.out
            assert done.code == 0 and harmless(out) and harmless(done.err), (words, form, done)
