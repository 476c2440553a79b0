"""How a person has arranged the columns of tables."""
