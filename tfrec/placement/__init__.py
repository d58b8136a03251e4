"""On which devices the ops of a servable can run: read off its graph and TensorFlow's registry of kernels.

The kernels are those of the TensorFlow that is installed here. Nothing is run on any device.
"""
