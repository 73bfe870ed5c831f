"""What a Keras model consists of, whoever asks: initializers, step 0, the engines.

`kernels` tells which of a model's weights are kernels and what their fans are, `products` how a
user's own layers use theirs, `roles` what each weight is for. They read a call's graph (`graphs`)
and how data flows through it (`flow`). `tracing` watches the calls of a model's layers,
`activations` and `elementwise` know what is between them, `calls` calls a model as Keras does,
`stacked` computes something of the weights of many replicates.

Nothing here imports TensorFlow or Keras before it is given a model, but `stacked`.
"""
