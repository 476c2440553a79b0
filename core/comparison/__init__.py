"""Compares versions and runs: which rows, in which order, which way is better (`rows`, `goals`), what a model is
(`contents`), long values line by line (`lines`), and how a comparison is written to a file (`export`). `where` chooses
versions by their metrics and parameters."""
