# Whatever was changed: set to what a node needs.
for node in n1 n2; do
    case $node in
        n1) route="10.244.1.0/24 via 172.18.0.3" ;;
        n2) route="10.244.0.0/24 via 172.18.0.2" ;;
    esac
    netlab exec node/$node -- sh -ec "
        sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
        for key in \$(sysctl -aN --pattern 'net.ipv4.conf.*.rp_filter'); do sysctl -qw \$key=0; done
        ip route replace $route dev eth0
        for port in \$(ip -o link show master cni0 | cut -d: -f2 | cut -d@ -f1); do bridge link set dev \$port hairpin on; done"
done
