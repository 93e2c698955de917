# Who knows the fault may take it out by its name.
netlab heal rules-flushed --on n1
netlab heal kube-proxy-stopped --on n2
netlab heal selector-matches-nothing --service api
netlab heal external-policy-local --service front
netlab heal wrong-dns --on pod/shell
netlab heal ip-forward-off --on n2
netlab heal nodeport-shadowed --on n1
