"""Gates: metrics, significance, slices, latency, schema, and the verdict. Nothing is imported here, because numpy is
slow to load."""
