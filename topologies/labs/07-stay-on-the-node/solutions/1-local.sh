# A node uses its own agent or none.
netlab apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: agent}
spec: {clusterIP: 10.96.0.43, internalTrafficPolicy: Local, selector: {app: agent}, ports: [{port: 4317}]}
EOF
