"""Where a person is in the cockpit, and where they were."""
