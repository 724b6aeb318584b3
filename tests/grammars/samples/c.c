#include <stdio.h>
// <- @statement @import
//       ^ @string
//               $ @statement @string @import
#include "shelf.h"
// <- @statement @import
//       ^ @string
//               $ @statement @string @import

#define LIMIT 10
// <- @statement
//      ^ @definition @reference
#define SQUARE(x) ((x) * (x))
// <- @function @signature @statement
//      ^ @definition @reference
//            ^ @bracket.open
//              ^ @bracket.close
//                          $ @function @signature

/* A book 😀 */
// <- @comment
struct book {
// <- @class @signature
//     ^ @definition @reference
//        $ @signature
//          ^ @signature.end @block @bracket.open
    char *title;
    //    ^ @definition
    int pages[2];
    //       ^ @bracket.open
    //         ^ @bracket.close
};
// <$ @class @block
// <- @bracket.close

typedef unsigned int count_t;

enum colour {
// <- @class @signature
//          ^ @signature.end @block
    RED,
    GREEN = 2,
};
// <$ @class @block

int add(struct book *book, int count);
// <- @function
//                                   $ @function

static const char *names[] = {"a", "b"};
//                           ^ @block
//                            ^ @string

// Adds pages.
// <- @comment
//           $ @comment
int add(struct book *book, int count)
// <- @scope @function
{
// <- @scope @signature.end @block
    int total = 0, index;
    char letter = 'x';
    //            ^ @string
    if (count > LIMIT) {
    //                 ^ @scope
        return -1;
    }
    for (index = 0; index < count; index++) {
        total += book->pages[index];
    }
    while (total--)
        printf("%d\n", total);
    switch (total) {
    case 1:
        break;
    default:
        goto done;
    }
    do {
        total++;
    } while (total < 3);
done:
    return total;
}
