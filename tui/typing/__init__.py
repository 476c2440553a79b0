"""What becomes of keys between the terminal and what they are meant for."""
