"""One file for each kind of step, with the method that authors call."""
