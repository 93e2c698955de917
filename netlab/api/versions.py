"""Which Kubernetes a lab is."""

VERSION = "v1.36.0+netlab"
