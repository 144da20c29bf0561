"""Which records are accepted. Spec: docs/spec/backbone.md, section 4."""
