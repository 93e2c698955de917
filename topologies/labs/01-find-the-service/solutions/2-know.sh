# What one knows already: a ClusterIP is nobody's, and the Pod's own address and port are what it becomes.
netlab lab answer holder none
netlab lab answer listeners 0
netlab lab answer becomes "$(netlab exec pod/web-2 -- hostname -I | cut -d' ' -f1):8080"
