"""Proxy mode ipvs: Routes as virtual servers of IPVS, address sets, and a few rules that speak of those sets."""

from netlab.proxy.ipvs.rules import tables
from netlab.proxy.ipvs.service import ServiceParts, spell_service
from netlab.proxy.ipvs.spelling import Difference, Spelling

__all__ = ["Difference", "ServiceParts", "Spelling", "spell_service", "tables"]
