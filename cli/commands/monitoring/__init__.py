"""Commands about what is watched: requests and their labels."""
