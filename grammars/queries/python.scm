; Every pattern is a single node, or rooted at a node with few children: a query stays cheap beside a huge list.

[(module) (lambda) (list_comprehension) (set_comprehension) (dictionary_comprehension) (generator_expression)] @scope
(function_definition body: (_) @signature.end) @signature @function @scope
(class_definition body: (_) @signature.end) @signature @class @scope

[
  (assert_statement) (break_statement) (class_definition) (continue_statement) (decorated_definition)
  (delete_statement) (expression_statement) (for_statement) (function_definition) (future_import_statement)
  (global_statement) (if_statement) (import_from_statement) (import_statement) (match_statement)
  (nonlocal_statement) (pass_statement) (raise_statement) (return_statement) (try_statement)
  (type_alias_statement) (while_statement) (with_statement)
] @statement
(block) @block

(comment) @comment
(string) @string
(typed_parameter type: (type (string) @string.type))
(typed_default_parameter type: (type (string) @string.type))
(function_definition return_type: (type (string) @string.type))
((generic_type (identifier) @_name (type_parameter (type (string) @string.type))) (#eq? @_name "Literal"))
(interpolation) @interpolation
[(import_statement) (import_from_statement) (future_import_statement)] @import

["(" "[" "{"] @bracket.open
[")" "]" "}"] @bracket.close

(function_definition name: (identifier) @definition)
(class_definition name: (identifier) @definition)
(assignment left: (identifier) @definition)
(assignment left: (pattern_list (identifier) @definition))
(named_expression name: (identifier) @definition)
(for_statement left: (identifier) @definition)
(for_statement left: (pattern_list (identifier) @definition))
(for_in_clause left: (identifier) @definition)
(for_in_clause left: (pattern_list (identifier) @definition))
(as_pattern_target (identifier) @definition)
(parameters (identifier) @definition)
(lambda_parameters (identifier) @definition)
(default_parameter name: (identifier) @definition)
(typed_parameter . (identifier) @definition)
(typed_default_parameter name: (identifier) @definition)
(list_splat_pattern (identifier) @definition)
(dictionary_splat_pattern (identifier) @definition)
(aliased_import alias: (identifier) @definition)
(import_statement name: (dotted_name . (identifier) @definition))
(import_from_statement name: (dotted_name (identifier) @definition))
(identifier) @reference
