"""Checkpoints: what they say of themselves, their tensors and tokenizers.

    loading.py       which kind a path is: Hugging Face directory, GGUF file, or one of our own directories
    record.py        `Checkpoint`, what all kinds are read into
    config.py        the network's shape and what the model can do; no torch
    description.py   `setfill.json`, by which models are listed and checked; no torch
    tokenization.py  text to tokens and back; no torch

Knows files; knows no network and no user folders (`model.store`). Importing the
package imports no torch.
"""
