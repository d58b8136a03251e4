"""The retrieval server: an encoder embeds the query, an index finds candidates, the encoder ranks them.

It speaks TensorFlow Serving's PredictionService, so that a client cannot tell it from a servable. The encoder
is an exact servable, in this process or in a TensorFlow Serving; without it in the process there is no
TensorFlow.
"""
