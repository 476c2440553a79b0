"""GitLab, on gitlab.com and of one's own, also below a path."""
