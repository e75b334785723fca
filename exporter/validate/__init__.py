"""A .dqnn file against the model it came from: `dqnn validate`."""
