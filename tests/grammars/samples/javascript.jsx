import fs from "node:fs";
// <- @statement @import
//     ^ @definition @reference
//             ^ @string
//                     $ @string
//                      $ @statement @import
import * as path from "node:path";
// <- @statement @import
//          ^ @definition @reference
//                    ^ @string
//                              $ @string
//                               $ @statement @import
import { join, resolve as absolute } from "node:path";
// <- @statement @import
//     ^ @bracket.open
//       ^ @definition @reference
//                                 ^ @bracket.close
//                                        ^ @string

// A shelf of books 😀
// <- @comment
//                  $ @comment
export class Shelf extends Map {
// <- @statement
//     ^ @scope @class @signature
//           ^ @definition
//                           $ @signature
//                             ^ @signature.end @block @bracket.open
  #limit = 10;
  open = true;

  constructor(name, ...rest) {
  // <- @scope @function @signature
  //         ^ @bracket.open
  //                       $ @signature
  //                       ^ @bracket.close
  //                         ^ @signature.end @block
    super();
    //    ^ @bracket.close
    this.name = name;
  }
  // <$ @function @block

  add(title, { year, author: writer } = {}) {
  // <- @scope @function @signature
  //                                        ^ @signature.end @block
    const key = `${title} by ${writer}`;
    //          ^ @string
    //           ^ @interpolation
    //                  $ @interpolation
    if (this.has(key)) {
    //                 ^ @block
      return false;
    }
    for (const word of title.split(" ")) {
      this.set(word, [year, 'x']);
    }
    return true;
  }
  // <$ @function
}
// <$ @class @block

function* count(from) {
// <- @function
  let [first, second] = [from, 1];
  while (first < 10) {
    yield first++;
  }
  switch (second) {
    case 1:
      break;
    default:
      throw new Error("no");
  }
}

const double = (value) => value * 2;
const later = async function named(done) {
  try {
    await done();
  } catch (error) {
    console.log(error);
  }
};

export default function Page({ items }) {
  const list = items.map((item) => {
    return item.name;
  });
  return (
    <ul className="books">
      {list}
    </ul>
  );
}
