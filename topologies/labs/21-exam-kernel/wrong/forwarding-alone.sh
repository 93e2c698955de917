# The first thing that comes to mind, and half of it at best.
for node in n1 n2; do netlab exec node/$node -- sysctl -w net.ipv4.ip_forward=1; done
