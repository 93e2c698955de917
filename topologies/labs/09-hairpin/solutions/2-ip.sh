# The same with ip: the port as a bridge's slave.
netlab exec node/n1 -- sh -ec '
    for port in $(ip -o link show master cni0 | cut -d: -f2 | cut -d@ -f1); do
        ip link set dev $port type bridge_slave hairpin on
    done'
