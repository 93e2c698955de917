"""Who set which field (metadata.managedFields), and server-side apply, which goes by it. Pure.

Source: "Server-Side Apply" in the Kubernetes documentation, KEP-555, and the format FieldsV1 of meta.k8s.io.
"""
