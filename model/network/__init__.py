"""The decoder network: linear layers, rotary embeddings and the KV cache. Knows rows and slots; knows no text."""
