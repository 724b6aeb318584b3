"""The torch-free side of the model: types, wire protocol and client of the worker."""
