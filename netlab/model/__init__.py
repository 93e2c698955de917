"""Frozen, typed values: names, the topology, Kubernetes objects, rules, kernel state, probe results."""
