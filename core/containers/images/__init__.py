"""Images: builds, transfers, registries and contents."""
