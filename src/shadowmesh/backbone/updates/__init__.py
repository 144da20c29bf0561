"""Live updates and calls between peers. Spec: docs/spec/backbone.md, section 6."""
