"""The demonstration: a project made of the example, traffic, and the story that runs on them."""
