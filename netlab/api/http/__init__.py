"""The API server over HTTP: what a request asks for, in which form, and the answer."""
