"""What the kernel must hold so that a lab is there, computed and never looked up: one module a hop of the packet."""
