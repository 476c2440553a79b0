"""What a gate's target means: the kind of model, the truth of each row, and which rows belong together."""
