"""What lasts while a command runs: asking a person, following a run, joining a shell."""
