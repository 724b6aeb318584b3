"""Traces of generation: what a language model writes around code, and merges leave in it, where nobody wants it.

Knows the phrases, tokens and marks, and in which kind of text each is out of place: the same words in a string, in a
test's data or in Markdown are what somebody meant to write. The syntax tree says which kind it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from grammars import PLAIN_TEXT, PlaceKind
from lint.records import ChangedFile, Check, Finding, Level, Rule
from lint.rules.source import Source, source_of

MARKDOWN_FENCE = Rule(
    id="markdown-fence",
    level=Level.ERROR,
    title="A Markdown code fence stands in code",
    explanation=(
        "Chat models put code between lines of three backticks. Such a line that is no part of a string or comment was "
        "copied along with the code."
    ),
)
PLACEHOLDER = Rule(
    id="placeholder-comment",
    level=Level.ERROR,
    title="A comment stands in place of code",
    explanation=(
        "Models that rewrite a file leave out what they do not change, and say so in a comment: "
        "`# ... existing code ...`, `// rest of the class unchanged`. Applied as written, it deletes that code."
    ),
)
SPECIAL_TOKEN = Rule(
    id="special-token",
    level=Level.ERROR,
    title="A special token of a language model stands in code",
    explanation=(
        "Tokens such as `<|endoftext|>` and `<fim_middle>` tell a model where texts begin and end. In code, outside of "
        "strings, they are left over from generation."
    ),
)
CONFLICT_MARKER = Rule(
    id="conflict-marker",
    level=Level.ERROR,
    title="A merge conflict is not resolved",
    explanation=(
        "The lines `<<<<<<<`, `=======` and `>>>>>>>` stand in this order where a merge could not decide. Alone, they "
        "are not reported: a row of equals signs underlines a title in Markdown and reStructuredText."
    ),
)
CHAT_PHRASE = Rule(
    id="chat-phrase",
    level=Level.ERROR,
    title="A phrase of a chat answer stands in code",
    explanation=(
        "`Sure, here is the updated code` and the like are said to a person who asked. In code and comments they are "
        "left over from a chat. In strings and in Markdown they are not reported."
    ),
)

_MOST_JUDGED = 400  # places of one file that are looked at; those on changed lines come first
_MOST_FOUND = 20  # of one rule in one file

_FENCE = re.compile(r"^[ \t]*(?:```+[\w+#.-]*|~~~+[a-z+#]*)[ \t]*$", re.MULTILINE)
_CODE_WORDS = (
    r"(?:code|implementation|methods?|functions?|logic|imports?|class(?:es)?|file|component|module|script|tests?|"
    r"fields|properties|handlers?|routes?)"
)
_UNTOUCHED = (
    r"(?:unchanged|(?:remains?|stays?|is|are) (?:the same|as (?:is|before)|unchanged)|(?:the )?same as before|"
    r"goes here|omitted|not shown|remains)"
)
_PLACEHOLDER = re.compile(
    rf"(?:\.\.\.|…)[ \t]*\(?(?:(?:the )?rest of|(?:the |your )?(?:existing|remaining|previous|other|original))"
    rf"[ \t][^\n]{{0,60}}?\b(?:{_CODE_WORDS}|unchanged|here)\b"
    rf"|\b(?:rest|remainder) of (?:the|your|this)(?: [\w-]{{1,30}})? {_CODE_WORDS}\b[^\n]{{0,20}}?\b{_UNTOUCHED}\b"
    rf"|\b(?:rest|remainder) of (?:the|your|this)(?: [\w-]{{1,30}})? {_CODE_WORDS}[ \t]*(?:\.\.\.|…)"
    rf"|\b(?:existing|remaining|previous) {_CODE_WORDS}(?: here)?[ \t]*(?:\.\.\.|…)"
    rf"|\b(?:existing|remaining|previous) {_CODE_WORDS} (?:unchanged|(?:remains?|stays?) (?:the same|unchanged|here))\b"
    rf"|(?:\.\.\.|…)[ \t]*\(?(?:unchanged|omitted|same as before|no changes?|keep (?:the )?existing)\b",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"<\|(?:endoftext|end_of_text|begin_of_text|im_start|im_end|im_sep|eot_id|eom_id|start_header_id|end_header_id|"
    r"fim_(?:prefix|middle|suffix|pad|begin|hole|end)|file_sep|repo_name|endofprompt|end_of_turn|start_of_turn|"
    r"end_of_sentence|assistant|user|system|end|pad)\|>"
    r"|</?(?:fim[_-](?:prefix|middle|suffix|pad)|file_sep|repo_name|gh_stars|issue_start|jupyter_start|empty_output|"
    r"start_of_turn|end_of_turn|reponame|commit_before|commit_after)>"
    r"|<｜[^｜\n]{1,40}｜>|\[/?INST\]|<<SYS>>|<\[(?:fim-(?:prefix|middle|suffix)|begin_of_text|end_of_text)\]>"
)
_CONFLICT = re.compile(r"^(<{7}(?= |\r?$)|={7}(?=\r?$)|>{7}(?= |\r?$))", re.MULTILINE)
_CHAT = re.compile(
    r"\bas an AI (?:language )?model\b"
    r"|\b(?:sure|certainly|of course|absolutely)[,!.] +here(?:'s|’s| is| are)\b"
    r"|\bhere(?:'s|’s| is) (?:the|your|an?) (?:updated|modified|corrected|complete|completed|refactored|revised|full|"
    r"improved|fixed) (?:version of |and \w+ )?(?:the |your )?(?:\w+ )?"
    r"(?:code|function|file|implementation|script|class)\b"
    r"|\bI hope this helps\b|\bhope this helps!"
    r"|\blet me know if you (?:have any (?:other |further |more )?questions|need (?:any(?:thing)? |further |more )|"
    r"(?:would|'d) like (?:me|any))"
    r"|\bI(?:'m| am) sorry, but I (?:can't|cannot|can not)\b"
    r"|\bI (?:cannot|can't) (?:assist|help) with (?:that|this)\b"
    r"|\b(?:replace|adjust) (?:this|the above) with your actual\b",
    re.IGNORECASE,
)
_PROSE = frozenset({"html", "yaml", "json", "toml"})  # text between their signs is anybody's words

_Judge = Callable[[Source, int], bool]


def _in_code(source: Source, offset_char: int) -> bool:
    return source.is_code and source.kind_at(offset_char) in (PlaceKind.CODE, PlaceKind.IMPORT)


def _in_code_of_a_program(source: Source, offset_char: int) -> bool:
    return source.language.name not in _PROSE and _in_code(source, offset_char)


def _in_comment(source: Source, offset_char: int) -> bool:
    if source.snapshot.tree is None:
        line = source.file.lines[source.line_of(offset_char) - 1].lstrip()
        return source.is_code and line.startswith(source.language.line_comments or "\0")
    return source.kind_at(offset_char) is PlaceKind.COMMENT


def _in_code_or_comment(source: Source, offset_char: int) -> bool:
    return _in_code_of_a_program(source, offset_char) or _in_comment(source, offset_char)


def _finder(rule: Rule, pattern: re.Pattern[str], judge: _Judge, message: str) -> Check:
    """A rule that reports each match of `pattern` that `judge` finds out of place; `{}` in `message` is the match."""

    def find(file: ChangedFile) -> Iterator[Finding]:
        source = source_of(file)
        if not source.is_code:
            return
        matches = {source.line_of(match.start()): match for match in pattern.finditer(source.text)}
        found = 0
        for line in source.added_first(iter(matches))[:_MOST_JUDGED]:
            match = matches[line]
            if judge(source, match.start()):
                yield source.finding(rule, source.span(*match.span()), message.format(match[0].strip()))
                found += 1
            if found >= _MOST_FOUND:
                return

    return find


def _conflicts(file: ChangedFile) -> Iterator[Finding]:
    """Find the three marks in their order, where they are no part of a string or of a fenced block."""
    source = source_of(file)
    fences = [match.start() for match in _FENCE.finditer(source.text)] if source.language is PLAIN_TEXT else []
    begin: int | None = None
    is_halfway = False
    found = 0
    for match in _CONFLICT.finditer(source.text):
        mark = match[0][0]
        if mark == "<":
            begin, is_halfway = match.start(), False
        elif mark == "=":
            is_halfway = begin is not None
        elif begin is not None and is_halfway:
            is_quoted = sum(fence < begin for fence in fences) % 2 or source.kind_at(begin) is PlaceKind.STRING
            if not is_quoted:
                line, end_line = source.line_of(begin), source.line_of(match.start())
                message = f"A merge conflict, down to line {end_line}, is not resolved"
                yield source.finding(CONFLICT_MARKER, source.line_span(line), message)
                found += 1
            begin, is_halfway = None, False
        if found >= _MOST_FOUND:
            return


TRACES: tuple[tuple[Rule, Check], ...] = (
    (CONFLICT_MARKER, _conflicts),
    (
        MARKDOWN_FENCE,
        _finder(MARKDOWN_FENCE, _FENCE, _in_code_of_a_program, "A Markdown fence, `{}`, stands in code"),
    ),
    (PLACEHOLDER, _finder(PLACEHOLDER, _PLACEHOLDER, _in_comment, "A comment stands in place of code: `{}`")),
    (SPECIAL_TOKEN, _finder(SPECIAL_TOKEN, _TOKEN, _in_code, "A special token of a language model: `{}`")),
    (CHAT_PHRASE, _finder(CHAT_PHRASE, _CHAT, _in_code_or_comment, "A phrase of a chat answer: `{}`")),
)
