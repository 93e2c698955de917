# The source was masqueraded already.
netlab exec node/n1 -- iptables -t nat -A POSTROUTING -d 10.244.0.0/24 -j MASQUERADE
