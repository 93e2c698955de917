# What everybody tries first.
for node in n1 n2; do netlab exec node/$node -- iptables -P FORWARD ACCEPT; done
