"""Measures what is served: scrapes replicas, counts requests and errors by version, and computes latency quantiles.
Canaries, live signals and monitors measure through this package. It judges nothing and writes nothing."""
