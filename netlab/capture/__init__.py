"""What passes the interfaces of a lab, in one file: each packet with its hop, in the order of time."""
