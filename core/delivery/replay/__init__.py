"""Shadow replay: what would a candidate have answered? Its replica and one of the champion get no traffic, only what
was captured."""
