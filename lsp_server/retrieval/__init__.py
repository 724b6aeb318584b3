"""Which pieces of other files look like what is being written: an index of chunks, ranked by the words they share.

Knows names and texts; reads no file, and knows no editor, no syntax and no model. Imports nothing else of ours.
"""

from lsp_server.retrieval.chunks import CHUNK_LINES, Piece, names_in
from lsp_server.retrieval.index import ChunkIndex

__all__ = ["CHUNK_LINES", "ChunkIndex", "Piece", "names_in"]
