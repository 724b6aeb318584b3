package shelf;
// <- @statement
//      ^ @reference
//           $ @statement

import java.util.List;
// <- @statement @import
//     ^ @reference
//               ^ @definition
//                   $ @statement @import
import java.util.Map;
// <- @statement @import
//     ^ @reference
//               ^ @definition
//                  $ @import

/** A book 😀 */
// <- @comment
public class Book extends Thing implements Comparable<Book> {
// <- @scope @class @signature @statement
//           ^ @definition
//                                                        $ @signature
//                                                          ^ @signature.end @block @bracket.open
    private final String title = "untitled";
    //                   ^ @definition
    //                           ^ @string
    //                                    $ @string
    static int count;

    public Book(String title, int pages) {
    // <- @scope @function @signature
    //         ^ @bracket.open
    //                                 $ @signature
    //                                 ^ @bracket.close
    //                                   ^ @signature.end @block
        this.pages = pages;
    }
    // <$ @function @block
    // <- @bracket.close

    // Adds words.
    // <- @comment
    //           $ @comment
    public boolean add(List<String> words) throws Exception {
    // <- @scope @function @signature
    //                ^ @bracket.open
    //                                   ^ @bracket.close
    //                                                      ^ @signature.end @block
        if (words.isEmpty()) {
        //                   ^ @block
            return false;
        }
        for (String word : words) {
            count += word.length();
        }
        for (int index = 0; index < 3; index++) {
            System.out.println('x');
            //                 ^ @string
            //                   $ @string
        }
        try {
            words.forEach(word -> {
                System.out.println(word);
            });
        } catch (RuntimeException error) {
            throw error;
        }
        int[] sizes = {1, 2};
        String text = STR."a \{title} in \{count + 1}";
        //                ^ @string
        //                   ^ @interpolation
        //                          $ @interpolation
        return switch (count) {
            case 1 -> true;
            default -> false;
        };
    }
    // <$ @function
}
// <$ @class @block

interface Reader<Item> {
// <- @class
    Item read(int page);
    // <- @function
}
// <$ @class

enum Colour {
// <- @class
    RED,
    GREEN
}

record Point(int x, int y) {
}
