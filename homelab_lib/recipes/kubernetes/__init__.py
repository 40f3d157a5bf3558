"""Clusters: their nodes, volumes, services, certificates, and who watches them."""
