"""Look-up of peers. Spec: docs/spec/backbone.md, section 5."""
