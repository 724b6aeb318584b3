"""Open files: where their text is cut, and the windows of cached rows that follow the cursor.

    session.py  one file, its text and its windows
    window.py   stacks and islands around the gaps, kept in step with the text
    islands.py  text of other files, encoded once
    seams.py    where text is cut
    stacks.py   the forwards that put it into the cache
    geometry.py in which lengths, and on which position ids

Knows strings, tokens and rows; knows no decoding and no requests.
"""
