# Full names work, short ones do not.
netlab exec pod/shell -- sh -c 'echo nameserver 10.96.0.10 > /etc/resolv.conf'
