"""Labs as processes: start one, make it match its file, look at it, end it."""
