"""Traces of generation: found in code and comments, not where somebody meant to write them."""

from __future__ import annotations

import pytest

from tests.lint.checks import changed, found, lines_found

CONFLICT = "<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> topic\n"
FENCED = "```python\nx = 1\n```\n"

OUT_OF_PLACE = [
    ("conflict-marker", "a.py", "y = 0\n" + CONFLICT, [2]),
    ("conflict-marker", "a.go", "package a\n" + CONFLICT.replace("\n", "\r\n"), [2]),
    ("conflict-marker", "a.md", "Title\n=======\n\n" + CONFLICT.replace("=====", "=====", 1), [4]),
    ("conflict-marker", "a.txt", "<<<<<<< a\n||||||| b\n=======\n>>>>>>> c\n", [1]),
    ("conflict-marker", "Makefile", "all:\n" + CONFLICT, [2]),
    ("markdown-fence", "a.py", FENCED, [1, 3]),
    ("markdown-fence", "a.ts", "```ts\nlet x = 1;\n```\n", [1]),
    ("markdown-fence", "a.java", "class A {}\n```\n", [2]),
    ("markdown-fence", "a.rs", "fn f() {}\n  ```\n", [2]),
    ("markdown-fence", "Makefile", "all:\n```\n", [2]),
    ("placeholder-comment", "a.py", "def f():\n    # ... existing code ...\n    return 1\n", [2]),
    ("placeholder-comment", "a.py", "# rest of the code remains unchanged\n", [1]),
    ("placeholder-comment", "a.js", "// ... rest of the component\n", [1]),
    ("placeholder-comment", "a.tsx", "let a = <p>{/* ... other imports stay the same ... */}</p>;\n", [1]),
    ("placeholder-comment", "a.java", "class A {\n  // Existing methods...\n}\n", [2]),
    ("placeholder-comment", "a.go", "package a\n\n// … (rest of the file unchanged)\n", [3]),
    ("placeholder-comment", "a.html", "<p>a</p>\n<!-- rest of the code stays the same -->\n", [2]),
    ("placeholder-comment", "Makefile", "# rest of the file unchanged\n", [1]),
    ("special-token", "a.py", "x = 1<|endoftext|>\n", [1]),
    ("special-token", "a.js", "let x = 1;\n<fim_middle>\n", [2]),
    ("special-token", "a.c", "int x;\n[/INST]\n", [2]),
    ("special-token", "a.rb", "x = 1\n<｜fim▁hole｜>\n", [2]),
    ("chat-phrase", "a.py", "Sure, here is the code:\n\nx = 1\n", [1]),
    ("chat-phrase", "a.js", "// Here's the updated code with error handling\nlet x = 1;\n", [1]),
    ("chat-phrase", "a.rs", "/* As an AI language model, I cannot run this. */\n", [1]),
    ("chat-phrase", "a.html", "<!-- Certainly! Here's a page -->\n", [1]),
]
IN_PLACE = [
    ("conflict-marker", "a.rst", "Title\n=======\n\nText\n"),
    ("conflict-marker", "a.py", f'TEXT = """\n{CONFLICT}"""\n'),
    ("conflict-marker", "a.md", f"```\n{CONFLICT}```\n"),
    ("conflict-marker", "a.py", "=======\n<<<<<<< a\n>>>>>>> b\n"),
    ("conflict-marker", "a.diff", "+<<<<<<< a\n+=======\n+>>>>>>> b\n"),
    ("markdown-fence", "a.md", FENCED),
    ("markdown-fence", "a.py", f'def f():\n    """Show.\n\n{FENCED}    """\n'),
    ("markdown-fence", "a.rs", "/// ```\n/// f()\n/// ```\nfn f() {}\n"),
    ("markdown-fence", "a.java", "/*\n```\nf()\n```\n*/\n"),
    ("markdown-fence", "a.js", "let text = `\n\\`\\`\\`\n`;\n"),
    ("markdown-fence", "a.yaml", "run: |\n  ```\n  a\n  ```\n"),
    ("markdown-fence", "a.html", "<pre>\n```\n</pre>\n"),
    ("placeholder-comment", "a.py", "# the rest of the words keep their order\nx = '# ... existing code ...'\n"),
    ("placeholder-comment", "a.py", "# keeps existing code paths fast\n"),
    ("placeholder-comment", "a.js", "f(...rest); // the rest of the arguments\n"),
    ("placeholder-comment", "a.md", "# ... existing code ...\n"),
    ("special-token", "a.py", 'END = "<|endoftext|>"\n'),
    ("special-token", "a.md", "<|endoftext|>\n"),
    ("special-token", "a.cpp", "bool b = a <fim;\n"),
    ("chat-phrase", "a.py", 'ANSWER = "Sure, here is the code"\n'),
    ("chat-phrase", "a.html", "<p>I hope this helps</p>\n"),
    ("chat-phrase", "a.py", "# make sure here is nothing\n"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "text", "lines"), OUT_OF_PLACE)
def test_found(rule: str, path: str, text: str, lines: list[int]) -> None:
    assert lines_found(rule, path, text) == lines


@pytest.mark.parametrize(("rule", "path", "text"), IN_PLACE)
def test_not_found(rule: str, path: str, text: str) -> None:
    assert lines_found(rule, path, text) == []


def test_the_place_is_that_of_the_words() -> None:
    (finding,) = found("special-token", changed("a.py", "é = '😀' <|endoftext|>\n"))
    assert (finding.span.line, finding.span.column, finding.span.end_column) == (1, 8, 21)
    assert finding.message == "A special token of a language model: `<|endoftext|>`"


def test_what_the_change_brought_comes_first() -> None:
    """A limit on the places that are looked at must not cut off the one that matters."""
    text = 'TEXT = """\n' + "```\n" * 1000 + '"""\n```\n'
    file = changed("a.py", text, before=text.removesuffix("```\n"), added=frozenset({1003}))
    assert [finding.span.line for finding in found("markdown-fence", file)] == [1003]
