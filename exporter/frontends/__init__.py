"""Front ends: from a model as its framework saved it to the IR. There is one, for Keras."""

from .keras import SavedModel, build_graph, load, read_model, register, support_table

__all__ = ["SavedModel", "build_graph", "load", "read_model", "register", "support_table"]
