# Who knows the fault may take it out by its name.
netlab heal selector-matches-nothing --service web
netlab heal wrong-target-port --service api
netlab heal internal-policy-local --service api
netlab heal protocol-mismatch --service db
netlab heal named-port-missing --service front
netlab heal external-policy-local --service front
