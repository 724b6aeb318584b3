<?php

namespace Library;
// <- @statement
//        ^ @reference
//               $ @statement

use Library\Model\Book;
// <- @statement @import
//  ^ @reference
//                ^ @definition
//                    $ @statement @import

require_once 'shelf.php';
// <- @statement @import
//           ^ @string
//                     $ @string
//                      $ @import

// A shelf 😀
// <- @comment
//         $ @comment
interface Reader
// <- @scope @class @signature @statement
//        ^ @definition @reference
{
// <- @signature.end @block @bracket.open
    public function read(int $page): string;
    // <- @function @signature
    //              ^ @definition
    //                  ^ @bracket.open
    //                            ^ @bracket.close
    //                                     $ @function @signature
}
// <$ @class @block
// <- @bracket.close

enum Colour: string
// <- @scope @class @signature
//   ^ @definition
{
// <- @signature.end @block @bracket.open
    case Red = 'red';
    //         ^ @string
    //             $ @string
}
// <$ @class @block
// <- @bracket.close

class Shelf extends Base implements Reader
// <- @scope @class
{
// <- @signature.end @block
    use Counting;

    const LIMIT = 10;
    private array $books = [];

    public function __construct(private string $name, ...$rest)
    // <- @function
    {
    // <- @block
        $this->books = $rest;
    }
    // <$ @function

    public function read(int $page): string
    // <- @function
    {
        $text = "page {$page} of $this->name";
        //      ^ @string
        if (strlen($text) > self::LIMIT) {
            return '';
            //     ^ @string
        }
        foreach ($this->books as $title => $book) {
            echo $book;
        }
        try {
            $double = fn($value) => $value * 2;
        } catch (\Exception $error) {
            throw $error;
        }
        while (true) {
            break;
        }
        return $text;
    }
}

function largest(array $items)
{
    # The largest item.
    // <- @comment
    //                $ @comment
    return match (true) {
        $items === [] => null,
        default => max($items),
    };
}
