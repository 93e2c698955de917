# Destination NAT at both doors of the node.
pod=$(netlab exec pod/web -- hostname -I | cut -d' ' -f1)
netlab exec node/n1 -- sh -ec "
    iptables -t nat -A PREROUTING -d 10.96.0.80 -p tcp --dport 80 -j DNAT --to-destination $pod:8080
    iptables -t nat -A OUTPUT -d 10.96.0.80 -p tcp --dport 80 -j DNAT --to-destination $pod:8080"
