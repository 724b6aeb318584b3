; C, and what C++ keeps of it.

[(translation_unit) (compound_statement) (for_statement)] @scope
(function_definition body: (_) @signature.end) @signature @function @scope
(declaration declarator: (function_declarator)) @signature @function
(declaration declarator: (pointer_declarator declarator: (function_declarator))) @signature @function
(struct_specifier body: (_) @signature.end) @signature @class
(union_specifier body: (_) @signature.end) @signature @class
(enum_specifier body: (_) @signature.end) @signature @class
(preproc_function_def) @signature @function

[
  (break_statement) (case_statement) (continue_statement) (declaration) (do_statement) (enumerator)
  (expression_statement) (field_declaration) (for_statement) (function_definition) (goto_statement)
  (if_statement) (labeled_statement) (linkage_specification) (preproc_call) (preproc_def)
  (preproc_function_def) (preproc_if) (preproc_ifdef) (preproc_include) (return_statement) (switch_statement)
  (type_definition) (while_statement)
] @statement
[(compound_statement) (field_declaration_list) (enumerator_list) (declaration_list) (initializer_list)] @block

(comment) @comment
[(string_literal) (char_literal) (system_lib_string)] @string
(preproc_include) @import

["(" "[" "{"] @bracket.open
[")" "]" "}"] @bracket.close

(function_declarator declarator: (identifier) @definition)
(struct_specifier name: (type_identifier) @definition body: (_))
(union_specifier name: (type_identifier) @definition body: (_))
(enum_specifier name: (type_identifier) @definition body: (_))
(enumerator name: (identifier) @definition)
(type_definition declarator: (type_identifier) @definition)
(preproc_def name: (identifier) @definition)
(preproc_function_def name: (identifier) @definition)
(preproc_params (identifier) @definition)
(field_declaration declarator: (field_identifier) @definition)
(declaration declarator: (identifier) @definition)
(init_declarator declarator: (identifier) @definition)
(parameter_declaration declarator: (identifier) @definition)
(pointer_declarator declarator: [(identifier) (field_identifier) (type_identifier)] @definition)
(array_declarator declarator: [(identifier) (field_identifier)] @definition)
[(identifier) (field_identifier) (type_identifier)] @reference
