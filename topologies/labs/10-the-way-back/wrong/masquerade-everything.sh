# The client is answered, and nobody sees anybody's real address any more.
pod=$(netlab exec pod/web -- hostname -I | cut -d' ' -f1)
netlab exec node/n1 -- sh -ec "
    iptables -t nat -A PREROUTING -i eth0 -p tcp --dport 30080 -j DNAT --to-destination $pod:8080
    iptables -t nat -A POSTROUTING -j MASQUERADE"
