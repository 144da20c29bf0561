"""The signed list of backbone nodes that this one serves. Spec: docs/spec/backbone.md, section 7."""
