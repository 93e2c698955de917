# The Service asks for what the Pods are.
netlab apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {clusterIP: 10.96.0.70, selector: {app: shop, tier: web}, ports: [{port: 80, targetPort: http}]}
EOF
