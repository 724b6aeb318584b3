[(document) (table) (table_array_element) (inline_table)] @scope
(table . "[" . (_) . "]" @signature.last) @signature @class
(table_array_element . "[[" . (_) . "]]" @signature.last) @signature @class
[(pair) (table) (table_array_element)] @statement
[(table) (table_array_element) (array) (inline_table)] @block
(comment) @comment
(string) @string
["[" "{" "[["] @bracket.open
["]" "}" "]]"] @bracket.close
(pair . [(bare_key) (quoted_key) (dotted_key)] @definition)
(table . "[" . [(bare_key) (quoted_key) (dotted_key)] @definition)
(table_array_element . "[[" . [(bare_key) (quoted_key) (dotted_key)] @definition)
