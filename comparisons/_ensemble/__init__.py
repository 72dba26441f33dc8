"""Training thousands of small nets together, as Keras would train each of them alone.

A net here is one hidden layer of relu or leaky relu units on a single input, and one linear
output: ``dense(units, relu) -> dense(1)``, trained on the mean squared error. What is asked is a
:class:`~bridge.ensemble.plan.Plan`; :func:`~bridge.ensemble.train.train` trains, block by block,
and keeps what is finished; :mod:`bridge.ensemble.bound` says how far rounding may carry a training,
by which single Keras fits are matched.
"""
