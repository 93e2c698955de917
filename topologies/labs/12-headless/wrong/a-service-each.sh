# Each Pod has a Service now, and db still means one address.
for number in 0 1 2; do
    printf 'apiVersion: v1\nkind: Service\nmetadata: {name: db-%s}\nspec: {selector: {app: db}, ports: [{port: 5432}]}\n---\n' \
        $number
done | netlab apply -f -
