"""What a Keras model consists of, whoever asks: initializers, step 0, the engines.

`kernels` tells which of a model's weights are kernels and what their fans are, `matrices` how they
are made up, `products` how a user's own layers use theirs, `roles` what each weight is for; the
last two read the `graphs` of a call, the last one as a data `flow`. `tracing` watches the calls of
a model's layers, `activations` and `elementwise` know what is between them, `moments` sends second
moments through them. `calls` calls a model as Keras does, `stacked` computes something of the
weights of many replicates, `quotient` how much a step changes the gradient.

TensorFlow and Keras come with `stacked`, `moments` and `quotient`; the others import them when they
are given a model.
"""
