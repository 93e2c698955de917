"""What goes on for longer than a request: logs, commands in Pods, forwarded ports."""
