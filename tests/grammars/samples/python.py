"""A small shelf of books, with an emoji 😀 in the standard document."""
# <- @statement @string

from __future__ import annotations
# <- @statement @import
#                      ^ @reference
#                                $ @statement @import

import json
# <- @statement @import
#      ^ @definition @reference
#         $ @statement @import
import os.path as paths
# <- @statement @import
#      ^ @reference
#                 ^ @definition
from collections import defaultdict, deque as Queue
# <- @import
#                       ^ @definition

LIMIT = 10
# <- @definition
first, second = 1, 2


@paths.lru
class Shelf(dict):
# <- @scope @class @signature
#          ^ @bracket.open
#               ^ @bracket.close
    """Books by author."""
    # <- @signature.end @block @string
    #                    $ @string

    size: int = 0

    def add(self, title: str, *authors: str, year=2000, **rest) -> bool:
    # <- @scope @function @signature
    #      ^ @bracket.open
    #                                                         ^ @bracket.close
        # The 😀 keeps offsets honest.
        # <- @comment
        key = f"{title!r}: {', '.join(authors)}"
        # <- @signature.end @block
        #     ^ @string
        #       ^ @interpolation @bracket.open
        #               $ @interpolation
        #               ^ @bracket.close
        #                                      $ @string
        if key in self:
            return False
            # <- @block
        for index, author in enumerate(authors):
            self[author] = [word for word in title.split() if word]
            # <- @block
            #              ^ @scope
        with open(key) as handle:
            json.dump(self, handle)
        return True


def largest(shelf, key=lambda book: book.size):
# <- @function @signature
    try:
    # <- @signature.end
        return max(shelf.values(), key=key)
    except ValueError as error:
        raise KeyError("no books") from error
        #              ^ @string
    finally:
        print(LIMIT)


async def wait(queue: Queue):
# <- @function
    while (item := await queue.get()) is not None:
        assert item, "empty"
        match item:
            case {"title": title}:
                yield title
            case _:
                pass
    del queue
    global LIMIT


def opened(mode: Literal["r", "w"]) -> "Shelf":
    #                    ^ @string.type
    #                      $ @string.type
    #                                  ^ @string.type @string
    #                                        $ @string.type
    return mode == "r"
    #              ^ @string !@string.type
