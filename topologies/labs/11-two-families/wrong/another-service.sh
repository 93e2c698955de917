# IPv6 has a Service now, by another name.
netlab apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: web-six}
spec: {ipFamilies: [IPv6], ipFamilyPolicy: SingleStack, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
EOF
