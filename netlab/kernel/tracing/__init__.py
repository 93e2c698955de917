"""Kernel tracing: which rules of which chains one flow's packets met, as the kernel itself tells it."""
