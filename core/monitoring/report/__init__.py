"""A measurement as a page of HTML that a person can send on: it loads nothing, runs nothing, and can be printed."""
