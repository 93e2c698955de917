# For the first port alone.
netlab exec node/n1 -- sh -ec '
    port=$(ip -o link show master cni0 | cut -d: -f2 | cut -d@ -f1 | head -1); bridge link set dev $port hairpin on'
