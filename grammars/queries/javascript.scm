; What JavaScript names differently from TypeScript.

(field_definition) @statement
(field_definition property: (property_identifier) @definition)
(formal_parameters (identifier) @definition)
