# All Pods made anew; and a Service goes that has an address of theirs, or the next Pod would get it.
for service in $(netlab get services | awk '/ 10\.244\./ {print $1}'); do netlab delete service "$service"; done
netlab delete pod shell web-1 web-2 mail
netlab apply -f - <<EOF
apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {app: web, number: one}}
spec: {nodeName: n1, containers: [{name: web, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: shell}
spec: {nodeName: n1, containers: [{name: shell, command: [sleep, infinity]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: mail, labels: {app: mail}}
spec: {nodeName: n2, containers: [{name: mail, ports: [{containerPort: 2525}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-2, labels: {app: web, number: two}}
spec: {nodeName: n2, containers: [{name: web, ports: [{containerPort: 8080}]}]}
EOF
