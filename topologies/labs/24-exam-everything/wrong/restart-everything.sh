# Every kube-proxy runs again, and what was not theirs is as it was.
netlab heal rules-flushed --on n1
netlab heal kube-proxy-stopped --on n2
