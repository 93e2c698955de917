# What every other Pod has.
netlab exec pod/web -- cat /etc/resolv.conf | netlab exec pod/shell -- sh -c 'cat > /etc/resolv.conf'
