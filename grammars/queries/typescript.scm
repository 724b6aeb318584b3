; What TypeScript adds to ECMAScript.

(abstract_class_declaration body: (_) @signature.end) @signature @class @scope @statement
(interface_declaration body: (_) @signature.end) @signature @class @statement
(enum_declaration body: (_) @signature.end) @signature @class @statement
(internal_module body: (_) @signature.end) @signature @class @scope
(module body: (_) @signature.end) @signature @class @scope
(function_signature) @signature @function @statement
[(method_signature) (abstract_method_signature)] @signature @function @statement
[(type_alias_declaration) (public_field_definition) (property_signature) (ambient_declaration)] @statement

(literal_type (string) @string.type)

[(interface_body) (enum_body)] @block

(abstract_class_declaration name: (_) @definition)
(interface_declaration name: (_) @definition)
(enum_declaration name: (_) @definition)
(type_alias_declaration name: (_) @definition)
(internal_module name: (identifier) @definition)
(function_signature name: (_) @definition)
(method_signature name: (property_identifier) @definition)
(public_field_definition name: (property_identifier) @definition)
(property_signature name: (property_identifier) @definition)
(required_parameter pattern: (identifier) @definition)
(optional_parameter pattern: (identifier) @definition)
(type_parameter name: (_) @definition)
(type_identifier) @reference
