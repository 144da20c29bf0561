"""What `shadowmesh demo` shows: a backbone, alice and bob on three hosts, real programs and real traffic.

`scenario` tells the story, `actors` runs the programs in the lab's namespaces, `screen` shows it.
"""
