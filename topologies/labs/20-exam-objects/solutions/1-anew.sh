# The Services made anew, as the task has them.
netlab delete service web api db front
netlab apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.80, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {clusterIP: 10.96.0.90, selector: {app: api}, ports: [{port: 90, targetPort: 9000}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: 10.96.0.54, selector: {app: db}, ports: [{port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec:
  type: NodePort
  clusterIP: 10.96.0.70
  selector: {app: front}
  ports: [{port: 80, targetPort: 8000, nodePort: 30080}]
EOF
