"""Charts: the pane, how one is drawn, and when."""
