"""netlab runs the Kubernetes Service network on the kernel of the machine in front of you.

    from netlab import Lab

What is public is listed in `netlab.python`; it is imported by the first use, since the command line must start fast.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.python import Capture, Executed, HttpAnswer, Lab, Probe, Reset, Spot

__version__ = "0.1.0"
__all__ = ["Capture", "Executed", "HttpAnswer", "Lab", "Probe", "Reset", "Spot", "__version__"]


def __getattr__(name: str) -> object:
    """Called for a name that this module has not yet."""
    if name.startswith("_") or name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from netlab import python  # noqa: PLC0415 - by first use

    return getattr(python, name)
