"""Training thousands of small nets together, as Keras would train each of them alone.

A net here is one hidden layer of relu or leaky relu units on a single input, and one linear
output: ``dense(units, relu) -> dense(1)``, trained on the mean squared error. What is asked is a
:class:`~_ensemble.plan.Plan`; :func:`~_ensemble.train.train` trains, block by block,
and keeps what is finished; :mod:`_ensemble.single` says how far rounding may carry a training,
by which single Keras fits are matched.

The comparisons beside this folder import it as ``_ensemble``: what stands in the folder of a
comparison is found by it. Training needs numba, which ``keras-bridge[compiled]`` brings.
"""
