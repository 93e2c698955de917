"""Objects that come in protocol buffers, as kubectl sends them since version 1.32. Pure."""
