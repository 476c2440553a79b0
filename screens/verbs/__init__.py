"""What several screens do alike: changes, starts, shells, reasons, a person's own commands."""
