"""One flow, followed hook by hook through a lab: `netlab trace`."""
