; What JavaScript, TypeScript and TSX share.

[(program) (statement_block) (for_statement) (for_in_statement) (catch_clause)] @scope
(function_declaration body: (_) @signature.end) @signature @function @scope
(generator_function_declaration body: (_) @signature.end) @signature @function @scope
(function_expression body: (_) @signature.end) @signature @function @scope
(generator_function body: (_) @signature.end) @signature @function @scope
(arrow_function body: (_) @signature.end) @signature @function @scope
(method_definition body: (_) @signature.end) @signature @function @scope
(class_declaration body: (_) @signature.end) @signature @class @scope
(class body: (_) @signature.end) @signature @class @scope

[
  (break_statement) (class_declaration) (continue_statement) (debugger_statement) (do_statement)
  (export_statement) (expression_statement) (for_in_statement) (for_statement) (function_declaration)
  (generator_function_declaration) (if_statement) (import_statement) (labeled_statement) (lexical_declaration)
  (method_definition) (return_statement) (switch_statement) (throw_statement) (try_statement)
  (variable_declaration) (while_statement)
] @statement
[(statement_block) (class_body) (switch_body)] @block

[(comment) (html_comment)] @comment
[(string) (template_string)] @string
(template_substitution) @interpolation
(import_statement) @import

["(" "[" "{" "${"] @bracket.open
[")" "]" "}"] @bracket.close

(function_declaration name: (_) @definition)
(generator_function_declaration name: (_) @definition)
(function_expression name: (_) @definition)
(class_declaration name: (_) @definition)
(method_definition name: (property_identifier) @definition)
(variable_declarator name: (identifier) @definition)
(for_in_statement left: (identifier) @definition)
(catch_clause parameter: (identifier) @definition)
(arrow_function parameter: (identifier) @definition)
(array_pattern (identifier) @definition)
(shorthand_property_identifier_pattern) @definition
(object_pattern (pair_pattern value: (identifier) @definition))
(rest_pattern (identifier) @definition)
(assignment_pattern left: (identifier) @definition)
(import_clause (identifier) @definition)
(namespace_import (identifier) @definition)
(import_specifier name: (identifier) @definition !alias)
(import_specifier alias: (identifier) @definition)
[(identifier) (property_identifier) (shorthand_property_identifier) (private_property_identifier)] @reference
