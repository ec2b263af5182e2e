"""Experiments: what is compared with what, how it is judged, and what came out."""
