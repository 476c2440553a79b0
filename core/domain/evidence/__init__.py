"""Why a version serves: what is recorded of it, and whether that can be believed."""
