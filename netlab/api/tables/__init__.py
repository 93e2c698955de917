"""Objects as `kubectl get` shows them: the server makes the columns, the client prints them. Pure."""
