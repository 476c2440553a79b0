"""What the screens show alike: cells, columns and lines, by their subject."""
