# Who knows the fault may take it out by its name.
netlab heal ip-forward-off --on n1
netlab heal bridge-nf-off --on n2
netlab heal hairpin-off --on n1
netlab heal wrong-route --on n2
netlab heal rp-filter-strict --on n1
