"""The lab drawn: objects to a picture, without looking at any kernel.

scene: objects to what is in the picture ─> layout: where it stands ─> svg;   scene ─> mermaid, dot
"""
