"""The screens, one file each. The table of them is `tui/screens.py`."""
