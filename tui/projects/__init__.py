"""Several projects in one cockpit: which there are, and what is held of each that is open."""
