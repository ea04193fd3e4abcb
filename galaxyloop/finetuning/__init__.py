"""Few labels to a model: an encoder adapted to a new question."""
