"""What steps of all projects and runs of this machine use of it, and which of them wait for what."""
