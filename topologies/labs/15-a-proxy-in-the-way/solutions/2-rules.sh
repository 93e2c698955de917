# From the rule that redirects; and what the Pod's own answer says of its client.
rule=$(netlab exec node/n1 -- iptables -t nat -S KUBE-PORTALS-CONTAINER)
port=$(printf '%s\n' "$rule" | grep 10.96.0.80 | grep -- '-p tcp' | sed 's/.*--to-ports //')
netlab lab answer lands "10.244.0.1:$port"
netlab lab answer program "$(netlab exec node/n1 -- ss -Hltnp "sport = :$port" | cut -d'"' -f2)"
netlab lab answer client "$(netlab exec pod/shell -- curl -s http://10.96.0.80/clientip | grep -o '10\.244\.0\.1')"
