"""What runs on an engine: snapshots, events, statistics, logs."""
