; Tags are statements and bodies at once. Scripts and styles inside are text here: one document, one grammar.

(document) @scope
[(element) (script_element) (style_element) (doctype)] @statement
[(element) (script_element) (style_element)] @block
(element . (start_tag) @signature)
(comment) @comment
[(quoted_attribute_value) (attribute_value)] @string
["<" "</" "<!"] @bracket.open
[">" "/>"] @bracket.close
