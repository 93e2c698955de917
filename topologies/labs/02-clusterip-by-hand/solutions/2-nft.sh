# The same with nft, in a table of one's own.
pod=$(netlab exec pod/web -- hostname -I | cut -d' ' -f1)
netlab exec node/n1 -- nft "
table ip by-hand {
    chain from-pods { type nat hook prerouting priority -100; ip daddr 10.96.0.80 tcp dport 80 dnat to $pod:8080; }
    chain from-here { type nat hook output priority -100; ip daddr 10.96.0.80 tcp dport 80 dnat to $pod:8080; }
}"
