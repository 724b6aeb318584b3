import { useState } from "react";
// <- @statement @import
//     ^ @bracket.open
//       ^ @definition @reference
//                ^ @bracket.close
//                       ^ @string
//                             $ @string
//                              $ @statement @import

// A counter 😀
// <- @comment
//           $ @comment
interface Props {
// <- @class @signature @statement
//        ^ @definition @reference
//            $ @signature
//              ^ @signature.end @block @bracket.open
  start: number;
  // <- @statement @definition @reference
  label?: string;
  // <- @statement @definition
}
// <$ @class @statement @block
// <- @bracket.close

type Handler = () => void;
//             ^ @bracket.open
//              ^ @bracket.close

export function Counter({ start, label }: Props) {
//     ^ @scope @function @signature
//                                             $ @signature
//                                               ^ @signature.end @block
  const [count, setCount] = useState<number>(start);
  const add: Handler = () => {
  //                   ^ @scope @function @signature
  //                         ^ @signature.end @block
    setCount(count + 1);
  };
  // <$ @function
  if (count > 10) {
  //              ^ @scope @block
    return null;
  }
  return (
    <section title="counter">
      <button onClick={add}>{label}</button>
      <p>{`${count} times`}</p>
    </section>
  );
}
// <$ @function @block

class Store {
// <- @class
  value = 1;

  read(key: string): number {
  // <- @function
    console.log(`${key} is ${this.value}`);
    //          ^ @string
    //           ^ @interpolation
    //                $ @interpolation
    //                                  $ @string
    return this.value;
  }
}
// <$ @class
type Mode = "r" | "w";
//          ^ @string.type @string
//            $ @string.type
