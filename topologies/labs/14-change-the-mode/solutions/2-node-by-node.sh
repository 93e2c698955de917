# One node after the other, as one does at work; the kernel is asked for the table's name.
netlab set-mode nftables --on n2
netlab set-mode nftables --on n1
netlab lab answer table "$(netlab exec node/n1 -- nft list tables ip | awk '{print $3}')"
