"""What every front end makes of monitors and alerts: badges of environments, courses of monitors."""
