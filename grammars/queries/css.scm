[(stylesheet) (block)] @scope
(rule_set (block) @signature.end) @signature @class
(media_statement (block) @signature.end) @signature @class
(supports_statement (block) @signature.end) @signature @class
(keyframes_statement (keyframe_block_list) @signature.end) @signature @class
[
  (at_rule) (charset_statement) (declaration) (import_statement) (keyframe_block) (keyframes_statement)
  (media_statement) (namespace_statement) (rule_set) (supports_statement)
] @statement
[(block) (keyframe_block_list)] @block
[(comment) (js_comment)] @comment
(string_value) @string
(import_statement) @import
["(" "[" "{"] @bracket.open
[")" "]" "}"] @bracket.close
(class_selector (class_name) @definition)
(id_selector (id_name) @definition)
(keyframes_name) @definition
(declaration (property_name) @definition)
[(class_name) (id_name) (tag_name) (property_name) (plain_value) (function_name)] @reference
