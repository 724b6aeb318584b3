"""Building the training corpus from released packages; see `model.training.corpus.build`."""
