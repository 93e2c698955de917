# Hairpin mode on for every port of the bridge.
netlab exec node/n1 -- sh -ec '
    for port in $(ip -o link show master cni0 | cut -d: -f2 | cut -d@ -f1); do bridge link set dev $port hairpin on; done'
