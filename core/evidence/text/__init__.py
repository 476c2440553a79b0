"""A story as text: each form has everything, and nothing in it acts."""
