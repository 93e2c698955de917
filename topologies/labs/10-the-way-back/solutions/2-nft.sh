# The same with nft.
pod=$(netlab exec pod/web -- hostname -I | cut -d' ' -f1)
netlab exec node/n1 -- nft "
table ip by-hand {
    chain there { type nat hook prerouting priority -100; iifname eth0 tcp dport 30080 dnat to $pod:8080; }
    chain back { type nat hook postrouting priority 100; ct status dnat ip daddr $pod masquerade; }
}"
