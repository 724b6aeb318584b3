"""Playing recorded editing sessions against a language server, and what is measured meanwhile.

    script.py    what is typed, and when: a recording, key gaps drawn from a distribution
    editor.py    the editor's side of the protocol
    player.py    plays a script, asks for suggestions, accepts those that are right
    measures.py  statistics of what came of the requests
    pages.py     tables and plots

Knows the protocol, and nothing of the server at its other end but what it answers.
"""
