; What C++ adds to C.

(class_specifier body: (_) @signature.end) @signature @class @scope
(namespace_definition body: (_) @signature.end) @signature @class @scope @statement
(concept_definition) @signature @class @statement
(lambda_expression body: (_) @signature.end) @signature @function @scope
(field_declaration declarator: (function_declarator)) @signature @function
(field_declaration declarator: (reference_declarator (function_declarator))) @signature @function
[(for_range_loop) (catch_clause)] @scope

[
  (alias_declaration) (co_return_statement) (co_yield_statement) (for_range_loop) (friend_declaration)
  (namespace_alias_definition) (static_assert_declaration) (template_declaration) (throw_statement)
  (try_statement) (using_declaration)
] @statement

(raw_string_literal) @string
[(using_declaration)] @import

(class_specifier name: (type_identifier) @definition body: (_))
(namespace_definition name: (namespace_identifier) @definition)
(concept_definition name: (identifier) @definition)
(alias_declaration name: (type_identifier) @definition)
(function_declarator declarator: (field_identifier) @definition)
(function_declarator declarator: (qualified_identifier name: (identifier) @definition))
(reference_declarator (identifier) @definition)
(optional_parameter_declaration declarator: (identifier) @definition)
(type_parameter_declaration (type_identifier) @definition)
(structured_binding_declarator (identifier) @definition)
(for_range_loop declarator: (identifier) @definition)
(namespace_identifier) @reference
