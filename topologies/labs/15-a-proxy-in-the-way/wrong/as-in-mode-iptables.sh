# What would be right where rules choose a Pod.
netlab lab answer lands "$(netlab exec pod/web -- hostname -I | cut -d' ' -f1):8080"
netlab lab answer program web
netlab lab answer client "$(netlab exec pod/shell -- hostname -I | cut -d' ' -f1)"
