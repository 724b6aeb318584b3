"""Weights of Setfill's default model; data only."""
