"""What a person adds to the cockpit: commands of their own, themes of their own."""
