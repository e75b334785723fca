"""The model that a .dqnn file came from, run by what can run it."""
