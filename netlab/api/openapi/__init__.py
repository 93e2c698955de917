"""What the API server says of itself: its kinds' fields (OpenAPI), and what it serves (discovery). Pure."""
