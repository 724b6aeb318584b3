"""Shipping a model: the int8 copy in `weights/` and its card. Knows checkpoints; knows no sessions."""
