"""Infrastructure as code: what podium.yaml says of it, what a plan of it changes, and who has to agree."""
