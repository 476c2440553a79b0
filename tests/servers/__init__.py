"""The real servers that tests need, and the images that stand in for those of a registry."""
