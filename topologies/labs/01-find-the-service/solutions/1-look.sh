# Each place is asked for its addresses, the node for its sockets, a probe for what its packets became.
found=""
for where in node/n1 node/n2 pod/web-1 pod/web-2; do
    if netlab exec "$where" -- ip -4 addr | grep -q "inet 10.96.0.80/"; then found="$found,$where"; fi
done
netlab lab answer holder "${found:-none}"
netlab lab answer listeners "$(netlab exec node/n1 -- ss -Hltn "sport = :80" | wc -l)"
netlab lab answer becomes "$(netlab probe pod/shell service/web:80 | grep -o '10\.244\.[0-9.]*:8080')"
