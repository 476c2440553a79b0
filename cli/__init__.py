"""The command line: everything that the cockpit does, for scripts, CI and people who like a prompt. It decides
nothing."""
