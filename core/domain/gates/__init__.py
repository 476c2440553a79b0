"""What the checks of gates are configured with."""
