# As in the other modes; and a Pod that the Service does not select.
netlab lab answer holder none
netlab lab answer interface eth0
netlab apply -f - <<EOF
apiVersion: v1
kind: Pod
metadata: {name: web-3}
spec: {nodeName: n2, containers: [{name: web, ports: [{containerPort: 8080}]}]}
EOF
