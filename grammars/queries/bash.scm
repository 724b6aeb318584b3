[(program) (subshell)] @scope
(function_definition body: (_) @signature.end) @signature @function @scope

[
  (c_style_for_statement) (case_item) (case_statement) (declaration_command) (for_statement)
  (function_definition) (if_statement) (list) (pipeline) (redirected_statement) (test_command)
  (unset_command) (variable_assignment) (while_statement) (command)
] @statement
[(compound_statement) (do_group) (subshell) (if_statement) (case_statement)] @block

(comment) @comment
[(string) (raw_string) (ansi_c_string) (translated_string) (heredoc_body)] @string
[(command_substitution) (expansion) (simple_expansion) (arithmetic_expansion)] @interpolation
((command name: (command_name) @_name) @import (#any-of? @_name "source" "."))

["(" "[" "{" "${" "$(" "((" "$((" "[["] @bracket.open
[")" "]" "}" "))" "]]"] @bracket.close

(function_definition name: (word) @definition)
(variable_assignment name: (variable_name) @definition)
(for_statement variable: (variable_name) @definition)
(declaration_command (variable_name) @definition)
(variable_name) @reference
(command_name (word) @reference)
