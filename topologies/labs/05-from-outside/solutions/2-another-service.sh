# Another Service for the outside; the first one stays as it is.
netlab apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: web-outside}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 8000, targetPort: 8080, nodePort: 30080}]}
EOF
