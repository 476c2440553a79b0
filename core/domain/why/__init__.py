"""Why things are as they are: answers that front ends only show."""
