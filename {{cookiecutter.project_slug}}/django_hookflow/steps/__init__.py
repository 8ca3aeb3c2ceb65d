"""One file for each kind of step; StepManager offers them to authors."""
