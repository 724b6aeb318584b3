"""Setfill's model side: network, KV gap buffer, sessions, decoding, worker.

Importing this package, or `model.api`, never imports torch.
"""
