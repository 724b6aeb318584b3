[(document) (object)] @scope
(pair) @statement
[(object) (array)] @block
(comment) @comment
(string) @string
["[" "{"] @bracket.open
["]" "}"] @bracket.close
(pair key: (string (string_content) @definition))
