# Whoever is alone is always the same one.
netlab delete pod shop-2
netlab apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  type: NodePort
  clusterIP: 10.96.0.70
  selector: {app: shop}
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 600}}
  ports: [{port: 80, targetPort: 8080, nodePort: 30070}]
EOF
