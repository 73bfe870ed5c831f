"""Compares the weight initializers of Keras models, fairly and with error bars."""
