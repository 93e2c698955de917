# Headless, without a single port: names need none.
netlab delete service db
netlab apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: db}}
EOF
