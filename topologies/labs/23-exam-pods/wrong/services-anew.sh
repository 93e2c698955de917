# The Services were never the matter.
netlab delete service web mail
netlab apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.80, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: mail}
spec: {clusterIP: 10.96.0.25, selector: {app: mail}, ports: [{port: 25, targetPort: 2525}]}
EOF
