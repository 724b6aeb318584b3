[(document) (block_mapping) (flow_mapping)] @scope
[(block_mapping_pair) (block_sequence_item) (flow_pair)] @statement
[(block_mapping) (block_sequence) (flow_mapping) (flow_sequence)] @block
(comment) @comment
[(double_quote_scalar) (single_quote_scalar) (block_scalar)] @string
["[" "{"] @bracket.open
["]" "}"] @bracket.close
(block_mapping_pair key: (flow_node) @definition)
(flow_pair key: (flow_node) @definition)
(anchor_name) @definition
(alias_name) @reference
