; Elements are bodies too: `<ul>…</ul>` holds what one fills in.

(jsx_element) @block
(jsx_expression) @interpolation
