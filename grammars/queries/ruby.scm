; Ruby has no statements, only expressions that stand in a body: hence the parents below.

[(program) (block) (do_block) (lambda)] @scope
(method parameters: (_) @signature.last) @signature @function @scope
(method name: (_) @signature.last !parameters) @signature @function @scope
(singleton_method parameters: (_) @signature.last) @signature @function @scope
(singleton_method name: (_) @signature.last !parameters) @signature @function @scope
(class superclass: (_) @signature.last) @signature @class @scope
(class name: (_) @signature.last !superclass) @signature @class @scope
(singleton_class value: (_) @signature.last) @signature @class @scope
(module name: (_) @signature.last) @signature @class @scope

(program (_) @statement)
(body_statement (_) @statement)
(block_body (_) @statement)
(then (_) @statement)
(do (_) @statement)
(begin (_) @statement)
(else (_) @statement)
(ensure (_) @statement)
[(body_statement) (block_body) (then) (do) (do_block) (block) (begin) (else) (ensure)] @block

(comment) @comment
[
  (string) (heredoc_body) (subshell) (string_array) (symbol_array) (regex) (character) (delimited_symbol)
] @string
(interpolation) @interpolation
((call method: (identifier) @_method) @import
  (#any-of? @_method "require" "require_relative" "load" "autoload"))

["(" "[" "{" "#{"] @bracket.open
[")" "]" "}"] @bracket.close

(method name: (_) @definition)
(singleton_method name: (_) @definition)
(class name: (constant) @definition)
(module name: (constant) @definition)
(assignment left: [(identifier) (constant) (instance_variable) (class_variable) (global_variable)] @definition)
(left_assignment_list (identifier) @definition)
(method_parameters (identifier) @definition)
(block_parameters (identifier) @definition)
(lambda_parameters (identifier) @definition)
(optional_parameter name: (identifier) @definition)
(keyword_parameter name: (identifier) @definition)
(splat_parameter name: (identifier) @definition)
(hash_splat_parameter name: (identifier) @definition)
(block_parameter name: (identifier) @definition)
(exception_variable (identifier) @definition)
[(identifier) (constant) (instance_variable) (class_variable) (global_variable)] @reference
