# Every node at once.
netlab set-mode nftables
netlab lab answer table kube-proxy
