"""The driver `swarm`: replicas as services of a Swarm, behind the environment's own proxy on one of its managers."""
