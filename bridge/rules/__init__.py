"""What surprises although all runs agree: how the script uses Keras.

Every rule reads the recorded run, and the script's syntax tree where it needs it, and yields
findings. One that ``decides`` rests on evidence that is in the run, and may name the cause of a
case in which nothing is wrong; the others are worth knowing.
"""
