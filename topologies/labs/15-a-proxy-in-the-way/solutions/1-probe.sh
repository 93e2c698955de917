# Two probes and a look at the sockets.
lands=$(netlab probe pod/shell service/web:80 | grep -o '10\.244\.0\.1:[0-9]*')
netlab lab answer lands "$lands"
netlab lab answer program "$(netlab exec node/n1 -- ss -Hltnp "sport = :${lands#*:}" | cut -d'"' -f2)"
netlab lab answer client "$(netlab probe pod/shell service/web:80/udp | grep -o '10\.244\.0\.1 ')"
