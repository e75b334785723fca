"""Where a .dqnn file can run, and how much room there is."""
