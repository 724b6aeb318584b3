"""Training: corpus, examples, trainer, and its left-to-right control (docs/design.md, section 7).

From a copied folder this needs torch, tokenizers, safetensors and numpy only;
`model.training.corpus` alone reads archives and package managers' downloads.
"""
