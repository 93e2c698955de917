"""The programs of a node, each a process in the node's network namespace: kube-proxy and kubelet."""
