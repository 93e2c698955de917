# The same in another order, and on the other node.
netlab apply -f - <<EOF
apiVersion: v1
kind: Pod
metadata: {name: web-3, labels: {app: web, third: "yes"}}
spec: {nodeName: n1, containers: [{name: server, ports: [{containerPort: 8080}]}]}
EOF
netlab lab answer holder "node/n2 node/n1"
netlab lab answer interface kube-ipvs0
