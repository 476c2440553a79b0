"""The logs of steps: written whole and masked, read by window, never loaded."""
