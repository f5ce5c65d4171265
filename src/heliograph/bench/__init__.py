"""
``heliograph bench``: what sending a notification costs, ours and others' side by side.

* ``work.py``: what every sender sends;
* ``sink.py`` and ``replies.py``: the server that they send to, cheaper than any of them;
* ``senders.py`` and ``peers/``: the senders, each a program of its own;
* ``rounds.py``: they take turns, and the sink says whether they did what they claim;
* ``figures.py``, ``targets.py``: from rounds to figures, and what they ought to be;
* ``report.py``, ``plot.py``: tables and a picture.

And what the whole product costs, as an operator runs it:

* ``crowd.py``, ``program.py``, ``customer.py``: an audience, the server, and who publishes;
* ``broadcast.py``, ``neighbour.py``, ``scale.py``: what is measured; ``stages.py``: where it goes;
* ``findings.py``: tables and JSON.
"""
