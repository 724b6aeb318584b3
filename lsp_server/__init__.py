"""The language server: documents, requests and suggestions, on top of the model worker's client and the grammars.

It knows LSP, URIs and editors; it knows no tokens and no tensors, and imports no torch. Inside, texts are Python
strings and places in them are string indices (`_char`); an editor's lines and columns are converted at the border.
"""
