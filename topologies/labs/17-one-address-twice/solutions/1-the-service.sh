# The Service goes that has an address of the Pods' range.
netlab delete service "$(netlab get services | awk '/ 10\.244\./ {print $1}')"
