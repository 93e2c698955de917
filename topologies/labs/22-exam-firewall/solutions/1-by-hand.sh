# What is not kube-proxy's goes, in both kinds of tables.
for node in n1 n2; do
    netlab exec node/$node -- sh -ec '
        iptables -P FORWARD ACCEPT
        iptables -t mangle -F PREROUTING
        iptables -t mangle -F POSTROUTING
        iptables-nft -F FORWARD'
done
