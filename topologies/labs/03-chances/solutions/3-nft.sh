# With nft: a number by chance, and a map from it to the Pods.
address() { netlab exec "pod/$1" -- hostname -I | cut -d' ' -f1; }
one=$(address web-1) two=$(address web-2) three=$(address web-3)
netlab exec node/n1 -- nft "
table ip chances {
    chain from-pods {
        type nat hook prerouting priority -100
        ip daddr 10.96.0.80 tcp dport 80 dnat to numgen random mod 3 map { 0 : $one, 1 : $two, 2 : $three } : 8080
    }
}"
