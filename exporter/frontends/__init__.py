"""Front ends: from a model as its framework saved it to the IR. `load` takes what any of them reads; there is one, for
Keras. graph.py has what they share."""

from .keras import SavedModel, build_graph, load, read_model, register, support_table

__all__ = ["SavedModel", "build_graph", "load", "read_model", "register", "support_table"]
