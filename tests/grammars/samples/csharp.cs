using System;
// <- @statement @import
//    ^ @reference
//          $ @statement @import
using Text = System.Text;
// <- @statement @import
//    ^ @reference
//                      $ @statement @import

// A shelf 😀
// <- @comment
//         $ @comment
namespace Library
// <- @scope @class @signature @statement
//        ^ @reference
{
// <- @signature.end @block @bracket.open
    public interface IReader
    // <- @scope @class @signature @statement
    //               ^ @definition
    {
    // <- @signature.end @block @bracket.open
        int Read(string page);
        // <- @function @signature
        //  ^ @definition
        //      ^ @bracket.open
        //                  ^ @bracket.close
        //                   $ @function
    }
    // <$ @class @block
    // <- @bracket.close

    public enum Colour
    // <- @class
    //          ^ @definition
    {
    // <- @signature.end @block
        Red,
        // <- @definition
        Green = 2,
    }
    // <- @bracket.close

    public record Point(int X, int Y);

    public delegate void Changed(object sender);
    // <- @function
    //                                         $ @function

    public class Shelf<T> : Base, IReader
    // <- @scope
    {
    // <- @block
        private readonly int limit = 10;
        public string Name { get; set; }

        public Shelf(int limit)
        // <- @function
        {
            this.limit = limit;
        }

        public int Read(string page)
        {
            var text = $"page {page} of {limit}";
            //         ^ @string
            //                ^ @interpolation
            //                     $ @interpolation
            //                                 $ @string
            if (text.Length > limit)
            {
                return -1;
            }
            foreach (var word in text.Split(' '))
            //                              ^ @string
            //                                $ @string
            {
                Console.WriteLine(@"c:\" + word);
                //                ^ @string
            }
            try
            {
                int count = items.Sum(item => item.Size);
                return count;
            }
            catch (Exception error)
            {
                throw;
            }
        }
    }
}
// <$ @class @block
