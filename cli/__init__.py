"""The headless front end: the same verbs as the screen, for scripts, CI and people who like a prompt. It owns no
logic."""
