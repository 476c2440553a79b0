"""The cockpit without a picture: the same screens, keys' actions and plans, told line by line. For screen readers, for
terminals that cannot be drawn on, and for whoever wants a transcript."""
