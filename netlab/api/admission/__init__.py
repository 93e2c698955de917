"""What Kubernetes does to an object before it is stored: fill in defaults, refuse what is wrong, give out addresses.

Wordings are those of kube-apiserver 1.36, so that what a learner reads here is what they will read at work.
"""
