"""From a Keras or TensorFlow Lite model to a .dqnn file: `api.export` is the way, `cli` the commands.

    frontends -> ir -> passes -> packing, memory, writer

Nothing here imports TensorFlow, and importing this package imports nothing else."""
