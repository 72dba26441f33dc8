"""What Keras, TensorFlow and R are, as tables that all of the package may read.

A fact stands here once; nothing here imports anything of the package.
"""
