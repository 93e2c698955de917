# The packet arrives, its answer goes past n1.
pod=$(netlab exec pod/web -- hostname -I | cut -d' ' -f1)
netlab exec node/n1 -- iptables -t nat -A PREROUTING -i eth0 -p tcp --dport 30080 -j DNAT --to-destination $pod:8080
