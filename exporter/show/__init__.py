"""How things are drawn: knows nothing of models."""
