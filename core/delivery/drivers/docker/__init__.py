"""The driver that runs replicas in containers."""
