"""Checks of a table of rows itself: its schema, its content, leakage and drift against the training data."""
