"""Arrays to run a model on, their labels, and how far one result is from another."""
