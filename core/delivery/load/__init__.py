"""Load checks: a stated rate of requests against an environment, and what its latency, errors and memory are then."""
