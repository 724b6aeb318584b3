"""Training: corpus, examples, trainer, and the left-to-right control it is compared with (DESIGN section 7).

From a copied folder this needs torch, tokenizers, safetensors and numpy only;
`model.training.corpus` alone reads archives and package managers' downloads.
"""
