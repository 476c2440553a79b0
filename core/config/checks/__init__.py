"""The checks of a gate that are not about a metric on its rows: their keys, values and problems."""
