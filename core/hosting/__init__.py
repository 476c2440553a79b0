"""What a Git host is told: statuses of commits, deployments, the comparison on a pull request; and version tags."""
