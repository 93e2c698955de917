# Whatever it was: kube-proxies started, rules and settings as they should be, objects and the Pod made anew.
netlab heal rules-flushed --on n1
netlab heal kube-proxy-stopped --on n2
netlab exec node/n1 -- iptables -t mangle -F PREROUTING
netlab exec node/n2 -- sysctl -qw net.ipv4.ip_forward=1
netlab delete service api front
netlab delete pod shell
netlab apply -f - <<EOF
apiVersion: v1
kind: Pod
metadata: {name: shell}
spec: {nodeName: n1, containers: [{name: shell, command: [sleep, infinity]}]}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {clusterIP: 10.96.0.90, selector: {app: api}, ports: [{port: 90, targetPort: 9000}]}
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
