# In turn: every third, every second of what is left, and the rest.
address() { netlab exec "pod/$1" -- hostname -I | cut -d' ' -f1; }
one=$(address web-1) two=$(address web-2) three=$(address web-3)
netlab exec node/n1 -- sh -ec "
    to() { iptables -t nat -A PREROUTING -d 10.96.0.80 -p tcp --dport 80 \"\$@\"; }
    to -m statistic --mode nth --every 3 --packet 0 -j DNAT --to-destination $one:8080
    to -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination $two:8080
    to -j DNAT --to-destination $three:8080"
