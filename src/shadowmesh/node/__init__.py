"""The shell around `mesh`: engine, backbone client, files, timers and the control server of one running node.

`daemon.Daemon` feeds the Mesh machine and obeys what comes out; nothing here decides about peers. Everything that
must survive kill -9 is on disk before the next output is obeyed.
"""
