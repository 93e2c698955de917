# Half, half of the rest, the rest: nothing is lost, and the first Pod gets too much.
address() { netlab exec "pod/$1" -- hostname -I | cut -d' ' -f1; }
one=$(address web-1) two=$(address web-2) three=$(address web-3)
netlab exec node/n1 -- sh -ec "
    to() { iptables -t nat -A PREROUTING -d 10.96.0.80 -p tcp --dport 80 \"\$@\"; }
    to -m statistic --mode random --probability 0.5 -j DNAT --to-destination $one:8080
    to -m statistic --mode random --probability 0.5 -j DNAT --to-destination $two:8080
    to -j DNAT --to-destination $three:8080"
