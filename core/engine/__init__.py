"""Runs: the graph, the worker that owns a run, where its steps execute, and what is kept of them."""
