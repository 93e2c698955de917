"""What completes the objects: each controller makes the objects of one kind agree with those they come from.

A controller is told of every write, names the keys it has to look at again, and reconciles one key at a time: from the
store, to the store, nothing else. Doing it twice does nothing the second time.
"""
