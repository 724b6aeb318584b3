[(compilation_unit) (block) (for_statement) (foreach_statement) (catch_clause)] @scope
(method_declaration body: (_) @signature.end) @signature @function @scope
(method_declaration !body) @signature @function
(constructor_declaration body: (_) @signature.end) @signature @function @scope
(local_function_statement body: (_) @signature.end) @signature @function @scope
(operator_declaration body: (_) @signature.end) @signature @function @scope
(lambda_expression body: (_) @signature.end) @signature @function @scope
(delegate_declaration) @signature @function
(property_declaration accessors: (_) @signature.end) @signature
(class_declaration body: (_) @signature.end) @signature @class @scope
(struct_declaration body: (_) @signature.end) @signature @class @scope
(interface_declaration body: (_) @signature.end) @signature @class @scope
(enum_declaration body: (_) @signature.end) @signature @class
(record_declaration body: (_) @signature.end) @signature @class @scope
(record_declaration !body) @signature @class
(namespace_declaration body: (_) @signature.end) @signature @class @scope

[
  (break_statement) (checked_statement) (class_declaration) (constructor_declaration) (continue_statement)
  (delegate_declaration) (do_statement) (enum_declaration) (enum_member_declaration) (event_field_declaration)
  (expression_statement) (field_declaration) (file_scoped_namespace_declaration) (for_statement)
  (foreach_statement) (goto_statement) (if_statement) (interface_declaration) (local_declaration_statement)
  (local_function_statement) (lock_statement) (method_declaration) (namespace_declaration)
  (operator_declaration) (property_declaration) (record_declaration) (return_statement) (struct_declaration)
  (switch_statement) (throw_statement) (try_statement) (using_directive) (using_statement) (while_statement)
  (yield_statement)
] @statement
[
  (block) (declaration_list) (enum_member_declaration_list) (switch_body) (accessor_list) (initializer_expression)
] @block

(comment) @comment
[
  (string_literal) (verbatim_string_literal) (raw_string_literal) (interpolated_string_expression)
  (character_literal)
] @string
(interpolation) @interpolation
[(using_directive) (extern_alias_directive)] @import

["(" "[" "{"] @bracket.open
[")" "]" "}"] @bracket.close

(method_declaration name: (identifier) @definition)
(constructor_declaration name: (identifier) @definition)
(local_function_statement name: (identifier) @definition)
(delegate_declaration name: (identifier) @definition)
(property_declaration name: (identifier) @definition)
(class_declaration name: (identifier) @definition)
(struct_declaration name: (identifier) @definition)
(interface_declaration name: (identifier) @definition)
(enum_declaration name: (identifier) @definition)
(enum_member_declaration name: (identifier) @definition)
(record_declaration name: (identifier) @definition)
(variable_declarator name: (identifier) @definition)
(parameter name: (identifier) @definition)
(implicit_parameter) @definition
(type_parameter name: (identifier) @definition)
(foreach_statement left: (identifier) @definition)
(catch_declaration name: (identifier) @definition)
(identifier) @reference
