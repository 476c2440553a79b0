"""Measures what is served: scrapes replicas, counts requests and errors by version, and computes latency quantiles.

Canaries, live signals and monitors measure through this room. It judges nothing and writes nothing.
"""
