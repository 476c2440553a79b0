"""Shadow replay: sends captured requests to a replica of the candidate and to one of the champion, which get no
other traffic, and compares their answers."""
