"""The cluster's DNS server: what runs in a Pod whose image is netlab/dns, in the process of its kubelet."""
