"""iptables mode: Routes spelled as the rules that kube-proxy writes, chain for chain."""

from netlab.proxy.iptables.service import ServiceRules, spell_service
from netlab.proxy.iptables.tables import Spelling, spell

__all__ = ["ServiceRules", "Spelling", "spell", "spell_service"]
