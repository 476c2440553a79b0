"""Shadow replay: what is read back, how answers are compared and judged, and that a replay of any outcome leaves
nothing running."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from podium.core.delivery.host import daemon
from podium.core.delivery.replay import comparing, judging, report, shadows
from podium.core.delivery.replay.replay_step import carry_out, gate_check, keep, limits_of, parameters
from podium.core.delivery.replay.sending import (
    CANDIDATE,
    CHAMPION,
    MAX_FAILURES_AT_START,
    AnswerPair,
    Endpoint,
    ReplayAnswers,
    Sender,
)
from podium.core.domain.models import Version
from podium.core.domain.project import Check
from podium.core.domain.replay import ReplayLimits, ReplayReport
from podium.core.domain.runs import PIPELINE, Run, RunState, Trigger
from podium.core.domain.verdicts import Verdict
from podium.core.engine.context import StepContext
from podium.core.errors import Refused, Unreachable
from podium.core.serving import captures
from podium.core.serving.captures import Captured

from tests.delivery.light import World
from tests.runner.scale import scaled
from tests.support import wait_until

# -- what was captured
# --------------------------------------------------------------------------------------------------------------------


def line(
    at: float,
    *,
    body: str = '{"inputs": [[1.0]]}',
    status: int = 200,
    output: str = '{"predictions": [1]}',
    version: str = "1",
) -> str:
    fields = {
        "at": at,
        "request_id": f"r-{at}",
        "version": version,
        "status": status,
        "seconds": 0.001,
        "content_type": "application/json",
    }
    return json.dumps({**fields, "input": body, "output": output}) + "\n"


def fill(directory: Path, count: int, *, start: float | None = None, **more: Any) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    begin = time.time() - count if start is None else start
    text = "".join(line(begin + number, **more) for number in range(count))
    (directory / "capture-20001.jsonl").write_text(text)


def test_the_newest_requests_of_all_replicas_are_read_oldest_first(tmp_path: Path) -> None:
    (tmp_path / "capture-1.jsonl").write_text(line(40) + line(20))
    (tmp_path / "capture-1.1.jsonl").write_text(line(10))
    (tmp_path / "capture-2.jsonl").write_text(line(30) + line(50)[:-20])  # the last one is being written
    (tmp_path / "feedback-1.jsonl").write_text('{"request_id": "r-1", "truth": 1}\n')
    found = captures.newest(tmp_path, limit=2)
    assert (found.found, [each.at for each in found.chosen]) == (4, [30, 40])
    assert [each.at for each in captures.newest(tmp_path, limit=9, after=10).chosen] == [20, 30, 40]
    assert captures.newest(tmp_path / "nowhere", limit=9).found == 0


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "no json\n",
        "[1]\n",
        line(1, status=413, body=""),
        line(1, body="caf\ufffd"),
        '{"at": 1, "input": 5, "status": 200}\n',
    ],
)
def test_what_cannot_be_sent_again_is_left_out(tmp_path: Path, bad: str) -> None:
    (tmp_path / "capture-1.jsonl").write_text(bad + line(2))
    assert [each.at for each in captures.newest(tmp_path, limit=9).chosen] == [2]


# -- comparing
# --------------------------------------------------------------------------------------------------------------------


def answer(predictions: Any) -> bytes:
    return json.dumps({"predictions": predictions}).encode()


@pytest.mark.parametrize(
    ("champion", "candidate", "tolerance", "counts"),
    [  # identical, close, differing, changed labels of labels
        ([1.0, 2.0], [1.0, 2.0 + 1e-9], None, (2, 0, 0, 0, 0)),
        ([1.0, 2.0], [1.0, 2.1], None, (1, 0, 1, 0, 0)),
        ([1.0, 200.0], [1.0, 210.0], 0.1, (2, 0, 0, 0, 0)),
        ([0, 1, 1], [0, 1, 0], None, (2, 0, 1, 1, 3)),
        ([0, 1], [0, 1], 5.0, (2, 0, 0, 0, 2)),
        (["late", "on time"], ["late", "late"], None, (1, 0, 1, 1, 2)),
        ([[0.9, 0.1], [0.4, 0.6]], [[0.8, 0.2], [0.6, 0.4]], None, (0, 1, 1, 1, 2)),
        ([[0.9, 0.1]], [[0.8, 0.2]], 0.01, (0, 0, 1, 0, 1)),
        ([[5.0, 3.0]], [[5.0, 3.5]], None, (0, 0, 1, 0, 0)),
        ([{"a": 1.5, "b": "x"}], [{"a": 1.5, "b": "x"}], None, (1, 0, 0, 0, 0)),
        ([{"a": 1.5, "b": "x"}], [{"a": 1.5, "b": "y"}], None, (0, 0, 1, 0, 0)),
        ([{"a": 1.5}], [{"c": 1.5}], None, (0, 0, 1, 0, 0)),
        ([1.0, 2.0], [1.0], None, (0, 0, 2, 0, 0)),
        ([None], [0.5], None, (0, 0, 1, 0, 0)),
        ([float("nan")], [float("nan")], None, (1, 0, 0, 0, 0)),
        ([float("nan")], [0.5], None, (0, 0, 1, 0, 0)),
        ([True], [1], None, (0, 0, 1, 1, 1)),
        (3.5, 3.5, None, (1, 0, 0, 0, 0)),
        ([], [], None, (1, 0, 0, 0, 0)),
    ],
)
def test_predictions_are_compared_as_what_they_are(
    champion: Any, candidate: Any, tolerance: float | None, counts: tuple[int, ...]
) -> None:
    found = comparing.compare(answer(champion), answer(candidate), tolerance=tolerance)
    assert (found.identical, found.close, found.differing, found.changed, found.labels) == counts
    assert found.rows == found.identical + found.close + found.differing


def test_how_far_apart_numbers_are_is_told_for_each_row() -> None:
    found = comparing.compare(answer([[0.9, 0.1], [0.4, 0.6]]), answer([[0.7, 0.3], [0.4, 0.6]]), tolerance=None)
    assert found.sizes == (pytest.approx(0.2), 0.0)


def test_something_that_is_no_answer_differs() -> None:
    assert comparing.compare(answer([1]), b"<html>", tolerance=None).differing == 1
    assert comparing.compare(answer([1]), b"[" * 5000, tolerance=None).differing == 1


SECRETS = {"name": "Annabella Krüger", "city": "Ulm", "salary": 52310.75}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Model is missing inputs ['wind_speed'].", "400 BAD_REQUEST: Model is missing inputs ['wind_speed']."),
        ("cannot convert 'Annabella Krüger' of Ulm to double", "400 BAD_REQUEST: cannot convert '…' of … to double"),
        ("could not use 'Annabel...' at 52310.75", "400 BAD_REQUEST: could not use '…...' at …"),
        ("salary=5.231075e+04\n2  Ulm\nError: too  much", "400 BAD_REQUEST: salary=… Error: too much"),
    ],
)
def test_words_of_an_error_hold_nothing_of_the_request(message: str, told: str) -> None:
    body = json.dumps({"error_code": "BAD_REQUEST", "message": message, "stack_trace": "Annabella"}).encode()
    found = comparing.words(400, body, json.dumps({"dataframe_records": [SECRETS]}).encode())
    assert found == told


def test_words_of_a_request_that_is_no_json_are_not_told_at_all() -> None:
    body = json.dumps({"error_code": "BAD_REQUEST", "message": "cannot parse Ulm,5"}).encode()
    assert comparing.words(400, body, b"city,salary\nUlm,5") == "400 BAD_REQUEST: (its message may quote the request)"
    assert comparing.words(500, b"Internal Server Error", b"") == "500"


def test_words_of_a_model_are_text_that_can_be_written(tmp_path: Path) -> None:
    told = comparing.words(400, b'{"message": "\\ud800\\u001b[2J no"}', b"{}")
    (tmp_path / "log").write_text(told)
    assert told == "400: \ufffd no"


# -- judging
# --------------------------------------------------------------------------------------------------------------------


def pairs(
    count: int,
    *,
    candidate: float = 0.01,
    champion: float = 0.01,
    predictions: Any = (1.0,),
    status: int = 200,
    champion_status: int = 200,
) -> list[AnswerPair]:
    compared = (
        comparing.compare(answer([1.0]), answer(list(predictions)), tolerance=None)
        if status == champion_status == 200
        else None
    )
    words = "" if status == 200 else str(status)
    wobble = [1.0 + 0.05 * (number % 7) for number in range(count)]
    return [AnswerPair(champion_status, status, champion * each, candidate * each, compared, words) for each in wobble]


DEFAULT_LIMITS = ReplayLimits()
SLOW_ALLOWED = ReplayLimits(max_slowdown=100.0)


def verdicts(
    found: list[AnswerPair], limits: ReplayLimits = DEFAULT_LIMITS, hopeless: set[int] | None = None
) -> list[Verdict]:
    return [check.verdict for check in judging.judge(judging.figures(ReplayAnswers(found, hopeless or set())), limits)]


P, F, E, I = Verdict.PASS, Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE  # noqa: E741


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (pairs(200), [P, P, P, P]),
        (pairs(80), [I, P, P, P]),
        (pairs(30), [I, P, P, I]),
        ([], [E, E, E, E]),
        (pairs(199) + pairs(1, status=500), [P, F, P, P]),
        (pairs(199) + pairs(1, status=0), [P, F, P, P]),
        (pairs(199) + pairs(1, status=400, champion_status=400), [P, P, P, P]),
        (pairs(199) + pairs(1, status=500, champion_status=400), [P, F, P, P]),
        (pairs(199) + pairs(1, champion_status=500), [P, P, P, P]),
        (pairs(200, status=500), [P, F, E, E]),
        (pairs(190) + pairs(10, predictions=[1.5]), [P, P, P, P]),
        (pairs(180) + pairs(20, predictions=[1.5]), [P, P, F, P]),
        (pairs(200, candidate=0.0115), [P, P, P, P]),
        (pairs(200, candidate=0.02), [P, P, P, F]),
        (pairs(195) + pairs(5, candidate=0.05), [P, P, P, P]),
    ],
)
def test_verdicts(found: list[AnswerPair], expected: list[Verdict]) -> None:
    assert verdicts(found) == expected


def test_a_slowdown_that_may_be_chance_is_inconclusive() -> None:
    found = pairs(100) + pairs(7, candidate=0.03)
    assert verdicts(found)[3] is Verdict.INCONCLUSIVE
    assert "may be chance" in judging.judge(judging.figures(ReplayAnswers(found)), ReplayLimits())[3].message


def test_a_side_that_stopped_answering() -> None:
    assert verdicts(pairs(200), hopeless={CANDIDATE})[1] is Verdict.FAIL
    assert verdicts(pairs(200), hopeless={CHAMPION})[1] is Verdict.ERROR


def test_limits_survive_the_way_through_a_run() -> None:
    limits = ReplayLimits(
        at_least=5,
        limit=10,
        since=60.0,
        tolerance=1e-9,
        max_errors=2,
        max_differing=0.5,
        max_slowdown=3.0,
        concurrency=4,
    )
    assert limits_of(parameters(limits)) == limits
    assert limits_of(parameters(ReplayLimits())) == ReplayLimits()


# -- a replay, with replicas
# --------------------------------------------------------------------------------------------------------------------

Played = Callable[..., ReplayReport]


def capture_of(world: World) -> Path:
    return world.runtime.directory / "capture"


@pytest.fixture
def play(world: World) -> Played:
    """Version 1 serves; a replay of version 2, which behaves as told, over 120 captured requests."""

    def play(limits: ReplayLimits = SLOW_ALLOWED, captured: int = 120, **behaviour: Any) -> ReplayReport:
        world.version(1, answer=1)
        world.version(2, **{"answer": 1, **behaviour})
        world.deploy(1)
        if captured:
            fill(capture_of(world), captured)
        return carry_out(world.runtime, 2, limits, who="anna", run_id=7)

    return play


def shadows_of(world: World) -> list[tuple[int, float]]:
    return [each for side in shadows.SIDES for each in daemon.find(world.runtime.marker(f"staging-shadow-{side}"))]


def test_the_same_answers_pass_and_nothing_of_it_is_left(world: World, play: Played) -> None:
    found = play()
    assert found.verdict is Verdict.PASS, found.checks
    assert (found.version, found.champion, found.captured, found.requests, found.rows) == (2, 1, 120, 120, 120)
    assert (found.identical, found.differing, found.errors) == (120, 0, 0)
    assert set(found.latency) == set(found.champion_latency) == {"p50", "p95", "p99"} and 0 < found.latency["p50"] < 1
    assert not shadows_of(world)
    assert [row.version for row in world.runtime.replicas()] == [1, 1], "no row of a shadow"
    assert world.weights().keys() == {"v1-1", "v1-2"}, "the proxy never heard of them"
    assert world.journal.locks.all() == []


def test_other_answers_fail_with_the_share(play: Played) -> None:
    found = play(answer=2)
    assert found.verdict is Verdict.FAIL
    assert (found.identical, found.differing, found.changed_labels) == (0, 120, 120)
    assert "120 of 120 predictions differ (100 %), 120 of 120 labels changed" in found.checks[2].message


def test_errors_fail_with_how_many_and_which(play: Played) -> None:
    found = play(fails_after=60, status=500)
    assert found.verdict is Verdict.FAIL
    assert found.errors > 50 and found.error_words == {"500": found.errors}


def test_a_slow_one_fails(play: Played) -> None:
    delay = scaled(0.02)  # as far beyond what the machine itself adds to an answer as on a quiet one
    found = play(ReplayLimits(limit=80, at_least=80, max_slowdown=0.5), delay=delay)
    assert [check.verdict for check in found.checks] == [P, P, P, F], found.checks
    assert found.slowdown is not None and found.slowdown > 0.5 and found.latency["p50"] > delay


@pytest.mark.parametrize(
    ("captured", "expected", "words"),
    [(0, E, "no request to staging was captured"), (70, I, "70 were replayed, fewer than 100")],
)
def test_too_little_never_passes(world: World, play: Played, captured: int, expected: Verdict, words: str) -> None:
    found = play(captured=captured)
    assert found.verdict is expected
    assert words in found.checks[0].message
    assert not shadows_of(world)


def test_an_environment_that_captures_nothing_says_so(world: World, play: Played) -> None:
    world.change(capture=0.0)
    assert "set environments.staging.capture above 0" in play(captured=0).checks[0].message


def test_a_candidate_that_does_not_start_is_an_error_with_its_log(world: World, play: Played) -> None:
    found = play(crash=True)
    assert found.verdict is Verdict.ERROR
    assert "a_package_that_is_not_there" in found.checks[0].message and "\x1b" not in found.checks[0].message
    assert not shadows_of(world)


def test_a_candidate_that_dies_is_given_up_at_once(world: World, play: Played) -> None:
    found = play(dies_after=40)
    assert found.verdict is Verdict.FAIL
    assert "the candidate stopped answering" in found.checks[1].message
    assert found.requests <= 40 + MAX_FAILURES_AT_START
    assert not shadows_of(world)


def test_nothing_serves_means_nothing_to_compare_with(world: World) -> None:
    world.version(2)
    found = carry_out(world.runtime, 2, ReplayLimits(), who="anna")
    assert found.verdict is Verdict.ERROR and "no champion to compare with" in found.checks[0].message


def test_one_replay_at_a_time(world: World, play: Played) -> None:
    with (
        world.journal.locks.take("replay on staging", "berta", "replay of version 3"),
        pytest.raises(Refused, match="berta"),
    ):
        play()
    assert not shadows_of(world)


def test_a_replay_that_cannot_begin_leaves_the_lock(world: World, tmp_path: Path) -> None:
    world.change(driver="docker", host=f"unix://{tmp_path}/none.sock")
    waiting = shadows.Shadows(world.runtime, who="anna", why="replay of version 2")
    assert world.journal.locks.all() == [], "it is held while it is open, and no longer"
    with pytest.raises(Unreachable), waiting:
        raise AssertionError("no engine, no shadows")
    assert world.journal.locks.all() == []


def test_an_unsteady_champion_is_told(world: World) -> None:
    world.version(1, answer=1)
    world.version(2, answer=1)
    world.deploy(1)
    fill(capture_of(world), 120, output='{"predictions": [9]}')
    assert carry_out(world.runtime, 2, ReplayLimits(max_slowdown=100.0), who="anna").unsteady == 120


def test_many_at_once_are_each_sent_once(world: World, play: Played) -> None:
    found = play(ReplayLimits(concurrency=8, max_slowdown=100.0), captured=300)
    assert (found.requests, found.verdict) == (300, Verdict.PASS)


def test_a_report_is_kept_without_vouching_for_the_version(world: World, play: Played) -> None:
    from podium.core.delivery.rollout import plans

    found = play()
    keep(world.runtime, found)
    (kept,) = world.journal.gates.of("tiny", 2)
    assert (kept.gate, kept.verdict, kept.run_id, kept.rows) == ("replay:staging", Verdict.PASS, 7, 120)
    assert plans.verdict(world.journal, world.project.mlflow.model, 2) is None, "a replay by hand is no gate"
    assert json.loads(report.to_json(found))["latency"] == dict(found.latency)
    assert "| pass | errors ≤ 0 |" in report.to_markdown(found)


def test_as_a_check_of_a_gate(world: World, play: Played) -> None:
    def judged(number: int) -> dict[str, Verdict]:
        run = Run(7, PIPELINE, "release", RunState.RUNNING, Trigger.PERSON, "anna", 0.0)
        context = StepContext(world.project, run, "gate", {}, _journal=world.journal)
        check = Check("replay", environment="staging", replay=ReplayLimits(max_slowdown=100.0))
        return {result.name: result.verdict for result in gate_check(context, check, Version("tiny", number, 0.0))}

    assert judged(2) == {"replay on staging": Verdict.PASS}, "nothing has served yet"
    play(answer=2)
    assert judged(1) == {"replay on staging": Verdict.PASS}, "it serves already"
    assert judged(2) == {
        "replay on staging: requests ≥ 100": Verdict.PASS,
        "replay on staging: errors ≤ 0": Verdict.PASS,
        "replay on staging: differing ≤ 5 %": Verdict.FAIL,
        "replay on staging: slower ≤ 10000 %": Verdict.PASS,
    }
    assert judged(9) == {"replay on staging": Verdict.ERROR}, "its files are nowhere"


@contextmanager
def replaying(world: World) -> Iterator[subprocess.Popen[bytes]]:
    """A replay in a process of its own, with both of its shadows running."""
    world.version(1, answer=1)
    world.version(2, answer=1, delay=0.2)
    world.deploy(1)
    fill(capture_of(world), 200)
    handed = world.project.home / "handed.pickle"
    handed.write_bytes(pickle.dumps((world.project, world.environment)))
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).parents[1] / "replaying.py"), str(handed), "2"], stdin=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: len(shadows_of(world)) == 2, 60, what="both shadows run")
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_killed_replay_leaves_shadows_that_the_next_sweep_ends(world: World) -> None:
    with replaying(world) as process:
        assert shadows.sweep(world.project, world.journal) == [], "its process lives"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert len(shadows_of(world)) == 2
        assert shadows.sweep(world.project, world.journal) == [
            "staging: a replay was killed; 2 of its shadow replicas were ended"
        ]
    assert not shadows_of(world)
    assert shadows.sweep(world.project, world.journal) == []


def test_a_replay_that_is_told_to_end_ends_its_shadows(world: World) -> None:
    with replaying(world) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(scaled(20)) == 130
    assert not shadows_of(world)
    assert world.journal.locks.all() == []


def test_a_request_goes_out_as_it_came(world: World) -> None:
    """With its own content type and body, byte for byte."""
    import http.server
    import threading

    seen: list[tuple[str | None, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            seen.append((self.headers.get("Content-Type"), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "20")
            self.end_headers()
            self.wfile.write(b'{"predictions": [1]}')

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        at = Endpoint("127.0.0.1", server.server_port)
        sent = Sender((at, at), tolerance=None).send(
            [Captured(1.0, "1", 200, "text/csv", "größe\n5".encode(), "")], "1", lambda _: None
        )
    finally:
        server.shutdown()
        server.server_close()
    assert len(sent.pairs) == 1 and sent.pairs[0].both
    assert seen == [("text/csv", "größe\n5".encode())] * 4, "twice to warm up and twice counted"


def test_integers_that_are_too_large_for_a_float_are_compared() -> None:
    huge, other, small = (f'{{"predictions": [[{value}, 0.5]]}}'.encode() for value in (10**400, 10**400 + 1, 1))
    assert comparing.compare(huge, huge, tolerance=0.1).identical == 1
    for before, after in ((huge, other), (huge, small), (small, huge)):
        assert comparing.compare(before, after, tolerance=0.1).differing == 1
