"""Labs from Python. What is listed here is public: it changes with a line in the changelog, or not at all.

`netlab.Lab` is `netlab.python.Lab`, imported when it is asked for.
"""

from netlab.lab.resetting import Reset
from netlab.python.answers import Executed, HttpAnswer, Probe
from netlab.python.lab import Lab
from netlab.python.places import Spot
from netlab.python.traffic import Capture

__all__ = ["Capture", "Executed", "HttpAnswer", "Lab", "Probe", "Reset", "Spot"]
