"""
The demonstration: two people and their devices, one customer, step by step.

It is told once for each dialect: ``beams/`` and ``ibm/`` have a ``story.py``, which is what
happens, and a ``cast.py``, who takes part and does only what they could do in real life.
``stage.py`` is what surrounds them, with eyes that look at every screen, and ``telling.py``
keeps the score. The back end is the example in ``examples/``, linked here so that an
installed package has it too.
"""
