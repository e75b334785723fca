"""What a model will cost on a device: `dqnn analyze`."""
