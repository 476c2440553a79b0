"""Images: builds, transfers, registries, contents."""
