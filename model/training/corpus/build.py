"""The corpus: from a manifest of packages to token shards, with counts of all that was left out and why.

Order: path, text and licence filters, exact duplicates, decontamination (which
cuts a document in two), tokens, near-duplicates, the package's cap.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.checkpoint.description import file_sha256
from model.checkpoint.tokenization import ByteTokenizer
from model.errors import InputError
from model.training.corpus.decontamination import blocked_hashes, clean_passages
from model.training.corpus.fetch import declared_licence, fetch, files_in
from model.training.corpus.filters import MIN_CHARS, language_of, package_problem, path_problem, text_problem
from model.training.corpus.manifest import Package
from model.training.corpus.near_duplicates import NearDuplicates
from model.training.shards import Document, write_corpus

# Syntax nodes of a text in a language: [(begin, end)] in UTF-8 bytes, ascending.
FindNodes = Callable[[str, str], Sequence[tuple[int, int]]]

_WHEEL_README = ".dist-info/METADATA"


def no_nodes(text: str, language: str) -> Sequence[tuple[int, int]]:
    """A FindNodes that knows no syntax."""
    return ()


@dataclass
class CorpusBuilder:
    """Collects documents, package by package."""

    tokenizer: ByteTokenizer
    find_nodes: FindNodes = no_nodes
    documents: list[Document] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)  # files, by reason
    cut_lines: int = 0
    _ids: list[NDArray[np.uint16]] = field(default_factory=list)
    _nodes: list[NDArray[np.uint32]] = field(default_factory=list)
    _seen: set[bytes] = field(default_factory=set)
    _near: NearDuplicates = field(default_factory=NearDuplicates)
    _blocked: NDArray[np.uint64] = field(default_factory=blocked_hashes)

    def add_package(self, package: Package, archive: Path) -> int:
        """Add the documents of a package; return how many tokens they have."""
        tokens = 0
        for path, text, sha256 in self._files(package, archive):
            if tokens >= package.max_tokens:
                self.dropped["package's cap"] += 1
                continue
            language = language_of(path)
            assert language is not None
            passages, cut = clean_passages(text, self._blocked)
            self.cut_lines += cut
            for passage in passages:
                if len(passage) < MIN_CHARS:
                    self.dropped["too short after a cut"] += 1
                else:
                    tokens += self._add(package, path, language, passage, sha256, cut)
        return tokens

    def write(self, directory: Path, packages: Sequence[Package], archives: Sequence[Path]) -> dict[str, object]:
        """Write the shards; return what their index says of the whole."""
        by_language: Counter[str] = Counter()
        by_package: Counter[str] = Counter()
        for document in self.documents:
            by_language[document.language] += document.tokens
            by_package[document.package] += document.tokens
        facts: dict[str, object] = {
            "tokens_by_language": dict(by_language.most_common()),
            "tokens_held_out": sum(document.tokens for document in self.documents if document.held_out),
            "files_left_out": dict(self.dropped.most_common()),
            "lines_cut_by_decontamination": self.cut_lines,
            "documents_cut_by_decontamination": sum(document.cut_lines > 0 for document in self.documents),
            "packages": [
                {
                    **vars(package),
                    "declared_licence": declared_licence(archive),
                    "archive_sha256": file_sha256(archive),
                    "tokens": by_package[package.name],
                }
                for package, archive in zip(packages, archives, strict=True)
            ],
        }
        write_corpus(directory, self.documents, self._ids, self._nodes, facts)
        return facts

    def _files(self, package: Package, archive: Path) -> Iterator[tuple[str, str, str]]:
        """Yield (path, text, sha256) of the files that pass all filters."""
        # By a hash of their paths, so that a package's cap leaves a sample of it rather than its beginning.
        for raw_path, content in sorted(files_in(archive), key=lambda file: blake2b(file[0].encode()).digest()):
            # A wheel keeps its package's README in its metadata.
            path = "README.md" if raw_path.endswith(_WHEEL_README) else _path_in_package(raw_path, package)
            language = language_of(path)
            if language is None:
                continue
            sha256 = hashlib.sha256(content).hexdigest()
            text = content.decode("utf-8", "replace")
            if raw_path.endswith(_WHEEL_README):
                text = text.partition("\n\n")[2]  # below the metadata's fields
            problem = path_problem(path) or text_problem(text, language)
            if not problem and bytes.fromhex(sha256) in self._seen:
                problem = "duplicate"
            if problem:
                self.dropped[problem] += 1
                continue
            self._seen.add(bytes.fromhex(sha256))
            yield path, self.tokenizer.readable(text), sha256

    def _add(self, package: Package, path: str, language: str, text: str, sha256: str, cut: int) -> int:
        ids = np.array(self.tokenizer.encode(text), np.uint16)
        if not self._near.add(ids):
            self.dropped["near-duplicate"] += 1
            return 0
        nodes = np.array(self.find_nodes(text, language), np.uint32).reshape(-1, 2)
        self._ids.append(ids)
        self._nodes.append(nodes)
        self.documents.append(
            Document(
                package.name,
                package.version,
                path,
                language,
                package.licence,
                sha256,
                len(ids),
                len(nodes),
                package.held_out,
                cut,
            )
        )
        return len(ids)


def build_corpus(
    packages: Sequence[Package],
    tokenizer: ByteTokenizer,
    directory: Path,
    cache: Path,
    find_nodes: FindNodes = no_nodes,
    say: Callable[[str], None] = print,
) -> dict[str, object]:
    """Build the corpus of `packages` in `directory`, with downloads kept in `cache`; return the index's facts.

    A package that cannot be had is reported and left out; raises InputError if none can.
    """
    if len(tokenizer.token_bytes) > 1 << 16:
        raise InputError("shards hold 16-bit token ids: the tokenizer has more than 65,536")
    builder = CorpusBuilder(tokenizer, find_nodes)
    had, archives = [], []
    for package in packages:
        try:
            archive = fetch(package, cache)
        except InputError as error:
            say(f"left out: {error}")
            continue
        declared = declared_licence(archive)
        if package_problem(declared):
            say(f"left out: {package.name} declares the licence {declared!r}")
            continue
        tokens = builder.add_package(package, archive)
        had.append(package)
        archives.append(archive)
        say(f"{package.kind} {package.name} {package.version}: {tokens:,} tokens")
    if not builder.documents:
        raise InputError("none of the packages gave a document")
    return builder.write(directory, had, archives)


def _path_in_package(path: str, package: Package) -> str:
    """Return a path as an editor would show it: without what the archive puts before the source tree."""
    match package.kind:
        case "npm":
            return path.removeprefix("package/")
        case "debian":
            path = path.removeprefix("./")
            for begin in ("usr/share/gocode/src/", "usr/share/cargo/registry/", "usr/include/", "usr/src/", "usr/lib/"):
                path = path.removeprefix(begin)
            return path
    return path
