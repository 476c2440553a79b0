"""Gates: metrics, significance, slices, latency and schema, and the verdict that they come to. Nothing is imported
here: numpy is late."""
