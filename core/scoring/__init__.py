"""Batch scoring: a version predicts the rows of files, in parts, several at once. Nothing is imported here, because
pandas is slow to load."""
