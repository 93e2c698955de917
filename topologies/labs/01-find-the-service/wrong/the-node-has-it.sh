# The node answers, so it must have the address; the port stays what it was.
netlab lab answer holder node/n1
netlab lab answer becomes "$(netlab exec pod/web-2 -- hostname -I | cut -d' ' -f1):80"
