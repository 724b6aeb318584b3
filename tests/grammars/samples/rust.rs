use std::collections::HashMap as Map;
// <- @statement @import
//  ^ @reference
//                               ^ @definition
//                                  $ @statement @import
use std::fmt;
// <- @statement @import
//  ^ @reference
//       ^ @definition
//          $ @statement @import

/// A book 😀
// <- @comment
//         $ @comment
#[derive(Debug)]
// <- @statement
//      ^ @bracket.open
//       ^ @reference
//            ^ @bracket.close
pub struct Book {
// <- @class @signature @statement
//         ^ @definition
//            $ @signature
//              ^ @signature.end @block @bracket.open
    title: String,
    // <- @definition
    pages: u32,
}
// <$ @class @block
// <- @bracket.close

enum State {
// <- @class @signature
//       $ @signature
//         ^ @signature.end @block @bracket.open
    Open,
    Lent(String),
    //         ^ @bracket.close
}
// <$ @class @block

pub trait Readable {
// <- @scope @class @signature
//                 ^ @signature.end @block
    fn read(&self, page: u32) -> Option<&str>;
    // <- @function
    //                                       $ @function

    fn title(&self) -> String {
    // <- @scope @function
    //                        ^ @block
        String::from("untitled")
        //           ^ @string
        //                    $ @string
    }
    // <$ @function
}

const LIMIT: usize = 10;

impl<T> Shelf<T> {
// <- @scope
    pub fn add(&mut self, title: &str, count: usize) -> bool {
    // <- @function
        let mut total = 0;
        let (first, second) = (1, 2);
        if count > LIMIT {
            return false;
        }
        for word in title.split(' ') {
        //                      ^ @string
        //                        $ @string
            total += word.len();
        }
        let doubled = |value: usize| value * 2;
        match self.state {
            State::Open => true,
            State::Lent(name) => {
                println!("{} {}", name, doubled(total));
                //       ^ @string
                false
            }
        }
    }
}

mod tests {
    /* block comment */
    // <- @comment
    //                $ @comment
    fn works() {
        let raw = r#"raw "text""#;
        //        ^ @string
        assert_eq!(raw.len(), 10);
    }
}

macro_rules! square {
    ($x:expr) => { $x * $x };
}
