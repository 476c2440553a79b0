"""The driver that runs replicas in containers of several hosts, with a proxy on each."""
