"""An index: the candidates' embeddings, laid out for search, without TensorFlow.

`tfrec.index.index.Index` is what a version folder holds, in memory; `tfrec.index.folder` reads and writes
such folders. Embeddings and queries have D + 1 dimensions: the last one of a candidate is its bias, of a
query 1, so that a dot product is a score.
"""
