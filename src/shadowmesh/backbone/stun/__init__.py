"""The STUN responder. Spec: docs/spec/backbone.md, section 9."""
