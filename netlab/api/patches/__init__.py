"""Changing an object by a patch: RFC 6902, RFC 7396 and Kubernetes' strategic merge. Pure."""
