# A third in every rule: more than a quarter of the flows are taken by none.
address() { netlab exec "pod/$1" -- hostname -I | cut -d' ' -f1; }
one=$(address web-1) two=$(address web-2) three=$(address web-3)
netlab exec node/n1 -- sh -ec "for pod in $one $two $three; do iptables -t nat -A PREROUTING -d 10.96.0.80 -p tcp \
    --dport 80 -m statistic --mode random --probability 0.3333333 -j DNAT --to-destination \$pod:8080; done"
