# A selector without tier: the database is behind the Service too, and refuses.
netlab apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {clusterIP: 10.96.0.70, selector: {app: shop}, ports: [{port: 80, targetPort: 8080}]}
EOF
