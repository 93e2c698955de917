"""netlab runs the Kubernetes Service network on the kernel of the machine in front of you."""

__version__ = "0.1.0"
