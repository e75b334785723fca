"""Many candidate models on the same samples: `dqnn sweep`. (`dqnn bench --sweep` is a grid of shapes of one kernel.)"""
