"""What podium.yaml says of infrastructure: its checks, and its outputs where others name them."""
