"""The feedback loop: from an alert that fires to a retraining, with brakes, and back to whether it helped."""
