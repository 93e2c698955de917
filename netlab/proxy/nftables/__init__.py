"""Mode nftables: Routes as one table `kube-proxy` a family, whose maps lead from a Service's address to its chain."""

from netlab.proxy.nftables.spelling import Spelling, spell

__all__ = ["Spelling", "spell"]
