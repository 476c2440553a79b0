"""What a gate takes from outside its rows: metrics of a command, metrics and datasets that training logged."""
