# Who knows the fault may take it out by its name.
netlab heal masquerade-missing --on n1
netlab heal nodeport-shadowed --on n2
netlab heal forward-drop --on n1
netlab heal rules-in-both-kinds --on n2
