"""Pure functions over arrays: distances of distributions, their critical values, estimates of quality. They know no
project, no file and no time, and give the same answer for the same rows."""
