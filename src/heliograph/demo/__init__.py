"""
The demonstration: two people, four devices, one customer, step by step.

``story.py`` is what happens, ``stage.py`` is who takes part: virtual devices, a
customer's back end, and eyes that look at every screen. The back end is the example
in ``examples/``, linked here so that an installed package has it too.
"""
