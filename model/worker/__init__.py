"""The model worker: one process that holds the weights and computes for its clients.

    process.py   the process: standard streams, socket, signals
    server.py    the event loop's side: connections, handshake, lifetime
    compute.py   the compute thread: whose request is next, idle work
    requests.py  what each request asks of the engine
    engine.py    all sessions of one model, and the requests that touch them

Knows no LSP, URIs or editors. Only the compute thread imports torch, and with it the engine.
"""
