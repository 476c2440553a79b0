"""One environment at run time."""
