#include <string>
// <- @statement @import
//       ^ @string
//              $ @statement @string @import
#include "shelf.hpp"
// <- @statement @import
//       ^ @string
//                 $ @statement @string @import

using std::string;
// <- @statement @import
//    ^ @reference

// A shelf 😀
// <- @comment
//         $ @comment
namespace library {
// <- @scope @class @signature
//        ^ @definition @reference
//              $ @signature
//                ^ @signature.end @block @bracket.open

using Titles = std::vector<string>;
// <- @statement
//    ^ @definition @reference

template <typename T>
//                 ^ @definition
class Shelf : public Base {
// <- @scope @class @signature
//    ^ @definition
//                      $ @signature
//                        ^ @signature.end @block @bracket.open
public:
    explicit Shelf(int limit = 3) : limit_(limit) {}
    // <- @scope @function @signature
    //            ^ @bracket.open
    //                          ^ @bracket.close
    //                                            ^ @signature.end @block
    //                                             $ @function
    virtual ~Shelf() = default;
    //             ^ @bracket.close
    bool add(const T &item, string name);
    // <- @function
    //                                 ^ @bracket.close
    //                                  $ @function

private:
    int limit_;
};
// <$ @class @block

struct Point {
// <- @class
//           ^ @block
    double x;
    double y;
};

enum class Colour { Red, Green };

template <typename T>
bool Shelf<T>::add(const T &item, string name)
// <- @function
{
    auto text = R"(raw "text")";
    //          ^ @string
    for (const auto &entry : items_) {
        if (entry == item) {
            return false;
        }
    }
    auto twice = [this](int value) { return value * limit_; };
    try {
        items_.push_back(item);
    } catch (const std::exception &error) {
        throw;
    }
    int count = twice(2);
    char letter = 'x';
    //            ^ @string
    return count > 0;
}

}  // namespace library
// <$ @class @block
// ^ @comment
//                    $ @comment
