"""Decoding: how the rows of gaps are fed, constrained, drawn and revealed."""
