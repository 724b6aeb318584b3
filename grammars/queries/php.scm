[(program) (foreach_statement) (catch_clause)] @scope
(function_definition body: (_) @signature.end) @signature @function @scope
(method_declaration body: (_) @signature.end) @signature @function @scope
(method_declaration !body) @signature @function
(anonymous_function body: (_) @signature.end) @signature @function @scope
(arrow_function body: (_) @signature.end) @signature @function @scope
(class_declaration body: (_) @signature.end) @signature @class @scope
(interface_declaration body: (_) @signature.end) @signature @class @scope
(trait_declaration body: (_) @signature.end) @signature @class @scope
(enum_declaration body: (_) @signature.end) @signature @class @scope

[
  (break_statement) (class_declaration) (const_declaration) (continue_statement) (declare_statement)
  (do_statement) (echo_statement) (enum_case) (enum_declaration) (exit_statement) (expression_statement)
  (for_statement) (foreach_statement) (function_definition) (function_static_declaration) (global_declaration)
  (goto_statement) (if_statement) (interface_declaration) (method_declaration) (namespace_definition)
  (namespace_use_declaration) (property_declaration) (return_statement) (switch_statement) (trait_declaration)
  (try_statement) (unset_statement) (use_declaration) (while_statement)
] @statement
[
  (compound_statement) (declaration_list) (enum_declaration_list) (switch_block) (match_block) (colon_block)
] @block

(comment) @comment
[(string) (encapsed_string) (heredoc) (nowdoc) (shell_command_expression)] @string
(namespace_use_declaration) @import
(expression_statement [
  (require_expression) (require_once_expression) (include_expression) (include_once_expression)
]) @import

["(" "[" "{"] @bracket.open
[")" "]" "}"] @bracket.close

(function_definition name: (name) @definition)
(method_declaration name: (name) @definition)
(class_declaration name: (name) @definition)
(interface_declaration name: (name) @definition)
(trait_declaration name: (name) @definition)
(enum_declaration name: (name) @definition)
(enum_case name: (name) @definition)
(const_element (name) @definition)
(property_element name: (variable_name (name) @definition))
(simple_parameter name: (variable_name (name) @definition))
(variadic_parameter name: (variable_name (name) @definition))
(property_promotion_parameter name: (variable_name (name) @definition))
(assignment_expression left: (variable_name (name) @definition))
(foreach_statement (pair (variable_name (name) @definition)))
(catch_clause name: (variable_name (name) @definition))
(namespace_use_clause (qualified_name (name) @definition))
(name) @reference
