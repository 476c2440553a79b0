"""What commands write: data on standard output, everything else on standard error."""
