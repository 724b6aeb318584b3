import { readFileSync, type Stats } from "node:fs";
// <- @statement @import
//     ^ @bracket.open
//       ^ @definition @reference
//                                ^ @bracket.close
//                                       ^ @string
//                                               $ @string
//                                                $ @statement @import
import type Shape from "./shape";
// <- @statement @import
//          ^ @definition @reference
//                     ^ @string
//                             $ @string
//                              $ @statement @import

/* Shapes with an area 😀 */
// <- @comment
export interface Area<Unit> {
// <- @statement
//     ^ @class @signature
//               ^ @definition @reference
//                        $ @signature
//                          ^ @signature.end @block @bracket.open
  readonly unit: Unit;
  // <- @statement
  //       ^ @definition
  name?: string;
  area(scale: number): number;
  // <- @function @signature
  //  ^ @bracket.open
  //                ^ @bracket.close
  //                        $ @function @signature
}
// <$ @class @block
// <- @bracket.close

type Pair = [number, number];

enum Colour {
// <- @class @signature
//          ^ @signature.end @block
  Red = "red",
  //    ^ @string
  Green = 2,
}
// <$ @class @block

namespace Geometry {
// <- @scope @class
//                 ^ @signature.end @block
  export const origin: Pair = [0, 0];
}

export abstract class Figure implements Area<string> {
//     ^ @scope
//                                                   ^ @block
  private colour: Colour = Colour.Red;
  constructor(readonly unit: string, public name?: string) {}
  // <- @scope @function
  //                                                        $ @function

  abstract area(scale: number): number;
  // <- @function

  describe(prefix: string, suffix?: string): string {
    const text = `${prefix}: ${this.area(1)}`;
    //           ^ @string
    //            ^ @interpolation
    //                    $ @interpolation
    if (text.length > 80) {
      return text.slice(0, 80);
    }
    return suffix ? text + suffix : text;
  }
}

declare function measure(shape: Shape): number;

function total<Item extends Figure>(items: Item[]): number {
  let sum = 0;
  for (const item of items) {
    sum += item.area(1);
  }
  const largest = items.map((item) => {
    return item.area(2);
  });
  return sum + largest.length;
}
type Mode = "r" | "w";
//          ^ @string.type @string
//            $ @string.type
