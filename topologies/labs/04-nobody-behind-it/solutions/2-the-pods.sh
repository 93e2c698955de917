# The Pods become what the Service asks for; the port is given by its number.
netlab apply -f - <<EOF
apiVersion: v1
kind: Pod
metadata: {name: shop-1, labels: {app: shop, tier: frontend}}
spec: {nodeName: n1, containers: [{name: web, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: shop-2, labels: {app: shop, tier: frontend}}
spec: {nodeName: n2, containers: [{name: web, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {clusterIP: 10.96.0.70, selector: {app: shop, tier: frontend}, ports: [{port: 80, targetPort: 8080}]}
EOF
