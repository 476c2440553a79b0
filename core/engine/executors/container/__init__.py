"""The executor that runs a step in a container, and the child process that supervises it."""
