"""A tour of the cockpit: every screen as pictures, drawn by `make tour`."""
