# The Service made anew; its node port moves into a Service of its own, with the same affinity.
netlab delete service shop
netlab apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  clusterIP: 10.96.0.70
  selector: {app: shop}
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 600}}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: shop-outside}
spec:
  type: NodePort
  selector: {app: shop}
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 600}}
  ports: [{port: 80, targetPort: 8080, nodePort: 30070}]
EOF
