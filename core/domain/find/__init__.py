"""What can be found by a name, and how well a name fits what was typed."""
