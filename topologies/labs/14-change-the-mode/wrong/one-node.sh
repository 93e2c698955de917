# n2 stays behind.
netlab set-mode nftables --on n1
netlab lab answer table kube-proxy
