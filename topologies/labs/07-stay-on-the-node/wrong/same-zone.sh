# The nodes are in no zone, so that there is nothing to prefer.
netlab apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: agent}
spec: {clusterIP: 10.96.0.43, trafficDistribution: PreferSameZone, selector: {app: agent}, ports: [{port: 4317}]}
EOF
