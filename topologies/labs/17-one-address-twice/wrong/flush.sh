# kube-proxy puts the rules back, the wrong ones too.
for node in n1 n2; do netlab exec node/$node -- iptables -t nat -F; done
