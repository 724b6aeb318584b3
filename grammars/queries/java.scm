[(program) (block) (for_statement) (enhanced_for_statement) (lambda_expression) (catch_clause)] @scope
(method_declaration body: (_) @signature.end) @signature @function @scope
(method_declaration !body) @signature @function
(constructor_declaration body: (_) @signature.end) @signature @function @scope
(compact_constructor_declaration body: (_) @signature.end) @signature @function @scope
(class_declaration body: (_) @signature.end) @signature @class @scope
(interface_declaration body: (_) @signature.end) @signature @class @scope
(enum_declaration body: (_) @signature.end) @signature @class @scope
(record_declaration body: (_) @signature.end) @signature @class @scope
(annotation_type_declaration body: (_) @signature.end) @signature @class @scope

[
  (assert_statement) (break_statement) (class_declaration) (compact_constructor_declaration)
  (constructor_declaration) (continue_statement) (do_statement) (enhanced_for_statement) (enum_constant)
  (enum_declaration) (explicit_constructor_invocation) (expression_statement) (field_declaration) (for_statement)
  (if_statement) (import_declaration) (interface_declaration) (labeled_statement) (local_variable_declaration)
  (method_declaration) (package_declaration) (record_declaration) (return_statement) (static_initializer)
  (switch_expression) (synchronized_statement) (throw_statement) (try_statement) (try_with_resources_statement)
  (while_statement) (yield_statement)
] @statement
[
  (block) (class_body) (constructor_body) (interface_body) (enum_body) (annotation_type_body) (switch_block)
] @block

[(line_comment) (block_comment)] @comment
[(string_literal) (character_literal)] @string
(string_interpolation) @interpolation
(import_declaration) @import

["(" "[" "{"] @bracket.open
[")" "]" "}"] @bracket.close

(method_declaration name: (identifier) @definition)
(constructor_declaration name: (identifier) @definition)
(class_declaration name: (identifier) @definition)
(interface_declaration name: (identifier) @definition)
(enum_declaration name: (identifier) @definition)
(record_declaration name: (identifier) @definition)
(enum_constant name: (identifier) @definition)
(variable_declarator name: (identifier) @definition)
(formal_parameter name: (identifier) @definition)
(catch_formal_parameter name: (identifier) @definition)
(enhanced_for_statement name: (identifier) @definition)
(lambda_expression parameters: (identifier) @definition)
(inferred_parameters (identifier) @definition)
(type_parameter (type_identifier) @definition)
(import_declaration (scoped_identifier name: (identifier) @definition))
[(identifier) (type_identifier)] @reference
