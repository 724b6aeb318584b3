#!/bin/bash
# <- @comment
#         $ @comment
# A shelf 😀
# <- @comment
#         $ @comment
source ./shelf.sh
# <- @statement @import @reference
#               $ @statement @import
. ./more.sh
# <- @statement @import @reference
#         $ @statement @import

limit=10
# <- @statement @definition @reference
declare -a books=(one two)
# <- @statement
#          ^ @definition
#                ^ @bracket.open
#                        ^ @bracket.close
export NAME="main"
#      ^ @definition
#           ^ @string
#                $ @string

add() {
# <- @scope @function @signature @definition
#  ^ @bracket.open
#   $ @signature
#   ^ @bracket.close
#     ^ @signature.end @block
  local title="$1"
  #           ^ @string
  #            ^ @interpolation
  #             $ @interpolation
  #              $ @string
  if [[ -z "$title" ]]; then
  # <- @block
  #  ^ @bracket.open
  #        ^ @string
  #         ^ @interpolation
  #              $ @interpolation
  #                 ^ @bracket.close
    echo 'empty' >&2
    #    ^ @string
    return 1
  fi
  for word in $title; do
  #           ^ @interpolation
  #                   ^ @block
    echo "word ${word} of $(wc -w <<< "$title")"
  done
  #  $ @block
  while read -r line; do
  #                   ^ @block
    books+=("$line")
  done < shelf.txt
  case "$title" in
    a*)
      total=$((limit + 1))
      ;;
    *)
      grep "$title" shelf.txt | sort
      ;;
  esac
}
# <$ @function @block

(cd /tmp && ls)
# <- @scope
add "$@" || exit 1
