[(source_file) (block) (for_statement) (if_statement) (expression_switch_statement) (type_switch_statement)] @scope
(function_declaration body: (_) @signature.end) @signature @function @scope
(method_declaration body: (_) @signature.end) @signature @function @scope
(func_literal body: (_) @signature.end) @signature @function @scope
(type_declaration (type_spec type: (struct_type (field_declaration_list) @signature.end))) @signature @class
(type_declaration (type_spec type: (interface_type "{" @signature.end))) @signature @class
(method_elem) @signature @function

[
  (assignment_statement) (break_statement) (const_declaration) (continue_statement) (dec_statement)
  (defer_statement) (expression_statement) (expression_switch_statement) (fallthrough_statement)
  (field_declaration) (for_statement) (function_declaration) (go_statement) (goto_statement) (if_statement)
  (import_declaration) (inc_statement) (labeled_statement) (method_declaration) (method_elem) (package_clause)
  (return_statement) (select_statement) (send_statement) (short_var_declaration) (type_declaration)
  (type_switch_statement) (var_declaration)
] @statement
[(block) (field_declaration_list) (interface_type) (literal_value)] @block
(expression_switch_statement) @block
(type_switch_statement) @block
(select_statement) @block

(comment) @comment
[(interpreted_string_literal) (raw_string_literal) (rune_literal)] @string
(import_declaration) @import

["(" "[" "{"] @bracket.open
[")" "]" "}"] @bracket.close

(function_declaration name: (identifier) @definition)
(method_declaration name: (field_identifier) @definition)
(method_elem name: (field_identifier) @definition)
(type_spec name: (type_identifier) @definition)
(type_alias name: (type_identifier) @definition)
(field_declaration name: (field_identifier) @definition)
(parameter_declaration name: (identifier) @definition)
(variadic_parameter_declaration name: (identifier) @definition)
(type_parameter_declaration name: (identifier) @definition)
(var_spec name: (identifier) @definition)
(const_spec name: (identifier) @definition)
(short_var_declaration left: (expression_list (identifier) @definition))
(range_clause left: (expression_list (identifier) @definition))
(import_spec name: (package_identifier) @definition)
(package_clause (package_identifier) @definition)
[(identifier) (field_identifier) (type_identifier) (package_identifier)] @reference
