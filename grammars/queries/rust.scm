[(source_file) (block) (closure_expression) (match_arm) (for_expression)] @scope
(function_item body: (_) @signature.end) @signature @function @scope
(function_signature_item) @signature @function
(macro_definition name: (_) . "{" @signature.end) @signature @function
(struct_item body: (_) @signature.end) @signature @class
(enum_item body: (_) @signature.end) @signature @class
(union_item body: (_) @signature.end) @signature @class
(trait_item body: (_) @signature.end) @signature @class @scope
(impl_item body: (_) @signature.end) @signature @class @scope
(mod_item body: (_) @signature.end) @signature @class @scope

[
  (attribute_item) (const_item) (empty_statement) (enum_item) (expression_statement) (extern_crate_declaration)
  (field_declaration) (foreign_mod_item) (function_item) (function_signature_item) (impl_item)
  (let_declaration) (macro_definition) (mod_item) (static_item) (struct_item) (trait_item) (type_item)
  (union_item) (use_declaration) (enum_variant) (match_arm)
] @statement
[(block) (declaration_list) (field_declaration_list) (enum_variant_list) (match_block)] @block

[(line_comment) (block_comment)] @comment
[(string_literal) (raw_string_literal) (char_literal)] @string
[(use_declaration) (extern_crate_declaration)] @import

["(" "[" "{"] @bracket.open
[")" "]" "}"] @bracket.close

(function_item name: (identifier) @definition)
(function_signature_item name: (identifier) @definition)
(macro_definition name: (identifier) @definition)
(struct_item name: (type_identifier) @definition)
(enum_item name: (type_identifier) @definition)
(union_item name: (type_identifier) @definition)
(trait_item name: (type_identifier) @definition)
(type_item name: (type_identifier) @definition)
(mod_item name: (identifier) @definition)
(const_item name: (identifier) @definition)
(static_item name: (identifier) @definition)
(enum_variant name: (identifier) @definition)
(field_declaration name: (field_identifier) @definition)
(let_declaration pattern: (identifier) @definition)
(let_declaration pattern: (tuple_pattern (identifier) @definition))
(mut_pattern (identifier) @definition)
(tuple_struct_pattern type: (_) (identifier) @definition)
(for_expression pattern: (identifier) @definition)
(for_expression pattern: (tuple_pattern (identifier) @definition))
(closure_parameters (identifier) @definition)
(parameter pattern: (identifier) @definition)
(type_parameter name: (type_identifier) @definition)
(use_as_clause alias: (identifier) @definition)
(use_declaration argument: (scoped_identifier name: (identifier) @definition))
[(identifier) (field_identifier) (type_identifier) (shorthand_field_identifier)] @reference
