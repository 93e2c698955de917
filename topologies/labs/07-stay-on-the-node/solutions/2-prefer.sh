# A node prefers its own agent.
netlab apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: agent}
spec: {clusterIP: 10.96.0.43, trafficDistribution: PreferSameNode, selector: {app: agent}, ports: [{port: 4317}]}
EOF
