# There by DNAT, back through n1 by MASQUERADE.
pod=$(netlab exec pod/web -- hostname -I | cut -d' ' -f1)
netlab exec node/n1 -- sh -ec "
    iptables -t nat -A PREROUTING -i eth0 -p tcp --dport 30080 -j DNAT --to-destination $pod:8080
    iptables -t nat -A POSTROUTING -d $pod -p tcp --dport 8080 -m conntrack --ctstate DNAT -j MASQUERADE"
