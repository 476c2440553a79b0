"""Commands about what is computed, and where."""
