"""Signals measured on a real process that answers /metrics on a real port."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from podium.core.domain.delivery import Replica, ReplicaState
from podium.core.monitoring.signals import Sampler
from podium.core.telemetry.windows import Counts


class Metrics(ThreadingHTTPServer):
    fast = 0
    slow = 0


class Answer(BaseHTTPRequestHandler):
    server: Metrics

    def do_GET(self) -> None:
        fast, slow = self.server.fast, self.server.slow
        body = "".join(
            f'podium_request_seconds_bucket{{le="{bound}"}} {count}\n'
            for bound, count in (("0.01", fast), ("1.0", fast + slow), ("+Inf", fast + slow))
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Metrics]:
    server = Metrics(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def replica(port: int, **changes: object) -> Replica:
    values = {
        "id": "a",
        "environment": "prod",
        "version": 1,
        "slot": "s1",
        "port": port,
        "state": ReplicaState.READY,
        "pid": os.getpid(),
    }
    return Replica(**(values | changes))  # type: ignore[arg-type]


def as_dict(samples: list) -> dict[str, float]:
    return {sample.signal: sample.value for sample in samples}


def test_rates_are_differences_between_two_looks(server: Metrics) -> None:
    sampler = Sampler("prod")
    replicas = [replica(server.server_port)]
    assert sampler.sample({1: Counts(100, 0)}, replicas, at=10.0) == []
    server.fast, server.slow = 90, 10
    measured = as_dict(sampler.sample({1: Counts(300, 20)}, replicas, at=12.0))
    assert measured["requests"] == 100.0
    assert measured["error_rate"] == 0.1
    assert measured["latency_p50"] <= 0.01 < measured["latency_p95"] <= 1.0
    assert measured["memory"] > 1_000_000
    assert measured["cpu"] >= 0.0


def test_silence_is_not_a_zero(server: Metrics) -> None:
    sampler = Sampler("prod")
    replicas = [replica(server.server_port)]
    sampler.sample({1: Counts(100, 0)}, replicas, at=10.0)
    quiet = as_dict(sampler.sample({1: Counts(100, 0)}, replicas, at=11.0))
    assert quiet["requests"] == 0.0
    assert "error_rate" not in quiet
    assert "latency_p95" not in quiet
    gone = as_dict(sampler.sample({}, replicas, at=12.0))
    assert "requests" not in gone


def test_a_restarted_proxy_does_not_give_negative_rates(server: Metrics) -> None:
    sampler = Sampler("prod")
    sampler.sample({1: Counts(1000, 10)}, [], at=10.0)
    measured = as_dict(sampler.sample({1: Counts(50, 1)}, [], at=11.0))
    assert measured["requests"] == 50.0


def test_instances_of_the_proxy_that_come_and_go_give_no_rate_that_never_was(server: Metrics) -> None:
    sampler = Sampler("prod")
    sampler.sample({1: Counts(1000, 10), 2: Counts(5000, 0)}, [], at=10.0)
    both = as_dict(sampler.sample({1: Counts(1100, 10), 2: Counts(5100, 20)}, [], at=12.0))
    assert both == {"requests": 100.0, "error_rate": 0.1}
    assert as_dict(sampler.sample({1: Counts(1150, 10)}, [], at=13.0))["requests"] == 50.0
    # It answers again: what it counted while nobody saw it is no rate of this second.
    assert as_dict(sampler.sample({1: Counts(1160, 10), 2: Counts(5400, 20)}, [], at=14.0))["requests"] == 10.0


def test_replicas_that_are_warm_or_gone_are_not_measured(server: Metrics) -> None:
    sampler = Sampler("prod")
    replicas = [
        replica(server.server_port, state=ReplicaState.WARM),
        replica(1, id="b", pid=None),
        replica(1, id="c", pid=2**22 - 1),
    ]
    sampler.sample({}, replicas, at=10.0)
    assert sampler.sample({}, replicas, at=11.0) == []


def test_a_replica_that_missed_a_look_does_not_show_its_whole_life(server: Metrics) -> None:
    """It is slow just now, and slow ones are those that miss it."""
    server.fast = 10_000
    sampler, replicas, nobody = Sampler("prod"), [replica(server.server_port)], [replica(1)]
    sampler.sample({}, replicas, at=10.0)
    server.slow = 10
    assert as_dict(sampler.sample({}, replicas, at=11.0))["latency_p50"] > 0.01
    assert "latency_p50" not in as_dict(sampler.sample({}, nobody, at=12.0))
    server.slow = 30
    assert as_dict(sampler.sample({}, replicas, at=13.0))["latency_p50"] > 0.01


def test_of_a_replica_that_never_answered_before_only_the_next_second_counts(server: Metrics) -> None:
    server.fast = 10_000
    sampler = Sampler("prod")
    sampler.sample({}, [replica(1)], at=10.0)
    assert "latency_p50" not in as_dict(sampler.sample({}, [replica(server.server_port)], at=11.0))
    server.slow = 10
    assert as_dict(sampler.sample({}, [replica(server.server_port)], at=12.0))["latency_p50"] > 0.01


def test_the_share_of_a_version_is_its_part_of_what_was_answered(server: Metrics) -> None:
    other = Metrics(("127.0.0.1", 0), Answer)
    threading.Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()
    try:
        server.fast = 10_000
        sampler = Sampler("prod")
        both = [
            replica(server.server_port),
            replica(server.server_port, id="c", slot="s3"),
            replica(other.server_port, id="b", slot="s2", version=2),
        ]
        sampler.sample({}, both, at=10.0)
        assert "share:1" not in as_dict(sampler.sample({}, both, at=11.0)), "nobody asked anything"
        server.fast += 45
        other.slow = 10
        measured = as_dict(sampler.sample({}, both, at=12.0))
        assert (measured["share:1"], measured["share:2"]) == (0.9, 0.1)
    finally:
        other.shutdown()
        other.server_close()
