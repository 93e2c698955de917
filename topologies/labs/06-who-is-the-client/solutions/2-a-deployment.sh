# A Service anew, and a Deployment that has its Pod on n2.
netlab delete service web
netlab apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  externalTrafficPolicy: Local
  clusterIP: 10.96.0.80
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-more}
spec:
  replicas: 1
  selector: {matchLabels: {app: web, where: n2}}
  template:
    metadata: {labels: {app: web, where: n2}}
    spec:
      nodeSelector: {kubernetes.io/hostname: n2}
      containers: [{name: web, ports: [{containerPort: 8080}]}]
EOF
