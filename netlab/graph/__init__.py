"""The lab drawn: objects to a picture, without looking at any kernel."""
