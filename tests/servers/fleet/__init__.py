"""Machines that are not there: many Docker engines in one process, each behind a Unix socket of its own.

What Podium asks an engine is answered as a real one answers it (`tests/servers/fleet/test_fleet.py` compares the two), and
what containers would answer is answered for them: the replicas' /ping and /metrics, and the runtime API of HAProxy, by
way of the relay. Nothing runs: no container uses memory, no request is ever sent. For `benchmarks/scale.py`.
"""
