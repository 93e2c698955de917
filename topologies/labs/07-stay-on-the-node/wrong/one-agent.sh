# With one agent gone nobody reaches the wrong one, and app-2 has none of its own.
netlab delete pod agent-2
