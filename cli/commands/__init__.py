"""What each command does; `COMMANDS` in app.py says in which of these modules it is."""
