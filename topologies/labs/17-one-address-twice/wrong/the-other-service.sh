# mail's Service goes, and its Pod with it for everybody.
netlab delete service mail
