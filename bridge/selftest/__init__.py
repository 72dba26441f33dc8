"""The self-test: faults put into small models of this installation, to see whether they are found.

Neither R nor any script is needed. The models, the faults and the runs without a fault are drawn
from a seed; a fault that changes no bit of what a model makes is none, and another is drawn.
"""
