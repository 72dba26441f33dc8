"""Are the rules right? Faults of known kinds, planted in random models, beside their mended twins.

``pieces`` has what scripts are put together from, ``kinds`` one short function for each kind of
fault, ``judge`` says what an answer is worth, and ``published`` asks the rules of published tools
about the same runs. None of them knows how a rule of ours finds what it finds.
"""
