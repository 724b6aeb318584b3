package shelf
// <- @statement
//      ^ @definition @reference
//          $ @statement

import (
// <- @statement @import
//     ^ @bracket.open
	"errors"
	// <- @string
	//     $ @string
	str "strings"
	// <- @definition @reference
	//  ^ @string
	//          $ @string
)
// <$ @statement @import
// <- @bracket.close

// Book is one book 😀
// <- @comment
//                  $ @comment
type Book struct {
// <- @class @signature @statement
//   ^ @definition @reference
//             $ @signature
//               ^ @signature.end @block @bracket.open
	Title string
	// <- @statement @definition
	pages int
}
// <$ @class @block
// <- @bracket.close

type Reader interface {
// <- @class @signature
//          ^ @block
//                  $ @signature
//                    ^ @signature.end @bracket.open
	Read(book Book) (int, error)
	// <- @function @signature
	//            ^ @bracket.close
	//                         $ @function
}
// <$ @class @block

type Titles = []string

const limit = 10

var shelf, spare = map[string]Book{"a": {Title: `raw "title"`}}, 'x'
//                                ^ @block
//                                 ^ @string

func (b *Book) Add(title string, more ...string) (ok bool) {
// <- @scope @function
//                                                         ^ @signature.end @block
	if len(title) > limit {
	// <- @scope
		return false
	}
	for i, word := range str.Fields(title) {
	// <- @scope
		b.pages += i
		go print(word)
	}
	count, err := b.Read("x")
	//                   ^ @string
	switch {
	case err != nil:
		return false
	default:
		count++
	}
	defer func() {
	//    ^ @function
		recover()
	}()
	return true
}
// <$ @function

func Map[T any](items []T, change func(T) T) []T {
	var result []T
	for _, item := range items {
		result = append(result, change(item))
	}
	if result == nil {
		panic(errors.New("empty"))
	}
	return result
}
