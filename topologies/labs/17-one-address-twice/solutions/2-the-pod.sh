# The Pod is made anew, and gets another address.
netlab delete pod web
netlab apply -f - <<EOF
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: web, ports: [{containerPort: 8080}]}]}
EOF
