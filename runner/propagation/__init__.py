"""Signal propagation at step 0: predicted by mean-field theory, measured, judged.

How the forward signal and the gradient travel through the layers is settled by the initial weights,
before the first step. `meanfield` holds the theory, `measurement` and `jacobian` take numbers from
real models, `prediction` puts the theory beside them, `judgement` says in one word what they mean.
For what is not healthy `topology` follows the layers, `criticality` looks for a better scale of the
kernels, and `advice` says what to change.

The theory and the judgement need numpy and scipy only, so a report can use them; TensorFlow comes
with `measurement`, `jacobian`, `topology` and `prediction`.
"""
