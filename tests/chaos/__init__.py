"""What a release has to survive: killed workers, agents, replicas and proxies, an engine that goes away, a line that
breaks; with traffic on."""
