# Made anew, without an address.
netlab delete service db
netlab apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: sql, port: 5432}]}
EOF
