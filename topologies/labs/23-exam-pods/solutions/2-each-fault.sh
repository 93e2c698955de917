# Who knows the fault may take it out by its name.
netlab heal wrong-dns --on pod/shell
netlab heal duplicate-address --on pod/web-1
netlab heal readiness-failing --service mail
netlab heal pod-range-in-service-range --on pod/web-2
