"""Carries a run out: the graph of its steps, their attempts, and what is kept of them."""
