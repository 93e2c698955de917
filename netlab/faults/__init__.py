"""Faults on purpose: a named, reversible change each, as the steps that make it and those that take it back. Pure."""
