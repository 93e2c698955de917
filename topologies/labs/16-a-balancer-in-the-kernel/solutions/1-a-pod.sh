# Every node has it; and a Pod with the Service's label.
netlab lab answer holder node/n1,node/n2
netlab lab answer interface "$(netlab exec node/n1 -- ip -4 -o addr | awk '$4 ~ /^10.96.0.80\// {print $2}')"
netlab apply -f - <<EOF
apiVersion: v1
kind: Pod
metadata: {name: web-3, labels: {app: web}}
spec: {nodeName: n2, containers: [{name: web, ports: [{containerPort: 8080}]}]}
EOF
