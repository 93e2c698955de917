"""The names of a cluster: which records follow from its Services, EndpointSlices and namespaces. Pure."""
