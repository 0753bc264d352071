"""The index of one workspace: what is known, what waits to be read, and what a name means.

Works in small steps, so that whoever drives it can answer in between; the text of an open document counts instead of
the disk's. Reads files, writes none. Knows nothing of processes, pipes or watchers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capture.context.index.answers import MAX_TEXT_BYTES, compose, first_rows
from capture.context.index.disk import Stamp, is_folder, read_file, read_part
from capture.context.index.languages import IndexedLanguage, language_of
from capture.context.index.messages import Answer, IndexLimits, IndexProgress
from capture.context.index.open_texts import OpenTexts
from capture.context.index.symbols import GrammarUnusable, tagger_of
from capture.context.index.table import Found, SymbolTable
from capture.parsing import Patience, TakesTooLong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from capture.context.index.symbols import Symbol
    from capture.context.index.walk import Listing, WorkspaceFiles

MANY_CHANGES = 1_000  # a watcher that reports so many may have lost some
NAMES_OF_RULES = (".gitignore", "exclude", ".git")  # a change of these may admit or exclude anything
_OF_EDITOR = Stamp(0, 0, 0)  # no file has it: what was read of an editor's text is read again from the disk


class WorkspaceIndex:
    """Owns the table of one workspace.

    ``on_folders`` hears which folders are to be watched, whenever these are others than before.
    """

    def __init__(
        self, files: WorkspaceFiles, limits: IndexLimits, on_folders: Callable[[tuple[str, ...]], None]
    ) -> None:
        self._files = files
        self._limits = limits
        self._on_folders = on_folders
        self._table = SymbolTable(limits.table_bytes)
        self._stamps: dict[str, Stamp] = {}  # of every file that was looked at, whether it is in the table or not
        self._open = OpenTexts(limits.open_bytes)
        self._changed: dict[str, None] = {}  # on disk: to judge and read, in this order and before the others
        self._waiting: dict[str, None] = {}  # found on a walk, and judged there
        self._walk: Iterator[Listing] | None = None
        self._walk_is_due = True
        self._seen: set[str] = set()  # on this walk
        self._folders: set[str] = set()  # found on this walk, or on the one before while there is none
        self._watched: tuple[str, ...] | None = None
        self._unusable: dict[IndexedLanguage, str] = {}  # whose grammar cannot be used, and why
        self._slow: dict[str, Patience] = {}  # files that take too long to parse
        self._is_full = False  # once true it stays: what was left out is not tried again
        self._is_cut = False  # the walk met more files than may be indexed

    # What happens

    def rescan(self, *, watch_anew: bool = False) -> None:
        """Walk the workspace again, soon: anything may have changed.

        With ``watch_anew`` ``on_folders`` hears the folders then, even if they are the same.
        """
        self._walk_is_due = True
        if watch_anew:
            self._watched = None

    def note_changes(self, paths: Iterable[str]) -> None:
        """These files or folders changed on disk, are new or are gone."""
        changed = list(paths)
        for path in changed:
            name = path.rpartition("/")[2]
            if name in NAMES_OF_RULES or self._is_news_of_folder(path):
                self._walk_is_due = True
            elif path not in self._open and (path in self._stamps or language_of(name) is not None):
                self._changed[path] = None
        if len(changed) > MANY_CHANGES:
            self._walk_is_due = True

    def open_text(self, path: str, text: str) -> None:
        """The document at ``path`` (absolute) is open with this text; it is indexed at once, if it may be read."""
        source = text.encode()
        is_usable = len(source) <= self._limits.file_bytes and self._files.admits(path)
        # A document that loses its text is not read from the disk instead: that is not what the user sees.
        for other in self._open.put(path, source if is_usable else None):
            self._forget(other)
        self._judge(path)

    def close_text(self, path: str) -> None:
        """The document at ``path`` is closed: what is on disk counts."""
        self._open.remove(path)
        self._slow.pop(path, None)
        self._judge(path)

    # Work

    @property
    def has_work(self) -> bool:
        """Whether ``work`` has anything to do."""
        return bool(self._changed or self._waiting or self._walk is not None or self._walk_is_due)

    def work(self) -> None:
        """One step: list one folder or read one file."""
        if self._changed:
            self._judge(next(iter(self._changed)))
        elif self._walk is not None:
            self._step()
        elif self._walk_is_due:
            self._walk_is_due = False
            self._seen, self._folders, self._is_cut = set(), set(), False
            self._walk = self._files.walk()
        elif self._waiting:
            path = next(iter(self._waiting))
            del self._waiting[path]
            self._read(path, may_evict=False)

    def _step(self) -> None:
        """List one folder of the walk; behind the last one, what was not met any more is forgotten."""
        walk, self._walk = self._walk, None  # a walk that fails is over, and nothing is forgotten for it
        listing = next(walk, None) if walk is not None else None
        if listing is None:
            self._finish_walk()
            return
        self._walk = walk
        self._folders.add(listing.folder)
        for path, stamp in listing.files:
            if len(self._seen) >= self._limits.files:
                self._is_cut = True
                break
            self._seen.add(path)
            if self._stamps.get(path) != stamp and path not in self._open:
                self._waiting[path] = None

    def _finish_walk(self) -> None:
        for path in [path for path in self._stamps if path not in self._seen]:
            if path not in self._open:
                self._forget(path)
        self._waiting = {path: None for path in self._waiting if path in self._seen}
        self._changed.update(dict.fromkeys(self._open.paths))  # the rules may have changed
        watched = (*self._files.folders_of_rules, *sorted(self._folders))
        if watched != self._watched:
            self._watched = watched
            self._on_folders(watched)

    def _judge(self, path: str) -> None:
        """Read a file that changed, if it may be read."""
        self._changed.pop(path, None)
        is_new = path not in self._stamps
        if not self._files.admits(path) or (is_new and len(self._stamps) >= self._limits.files):
            self._forget(path)
            return
        self._seen.add(path)  # a walk under way may have passed by before the file was there
        self._read(path, may_evict=True)

    def _read(self, path: str, *, may_evict: bool) -> None:
        language = language_of(path)
        if path in self._open:
            source, stamp = self._open.text(path), _OF_EDITOR
        else:
            source, stamp = self._read_disk(path)
        if source is None or language is None:
            self._forget(path)
            return
        self._stamps[path] = stamp
        if not self._table.replace(path, self._symbols(path, language, source), may_evict=may_evict):
            self._is_full = True

    def _read_disk(self, path: str) -> tuple[bytes | None, Stamp]:
        try:
            read = read_file(path, self._limits.file_bytes)
        except OSError:  # gone, or not ours to read
            read = None
        return (None, _OF_EDITOR) if read is None else read

    def _symbols(self, path: str, language: IndexedLanguage, source: bytes) -> tuple[Symbol, ...]:
        try:
            source.decode()
        except UnicodeDecodeError:
            return ()
        if language in self._unusable or (path in self._slow and not self._slow[path].may_try()):
            return ()
        try:
            symbols = tagger_of(language).symbols(source)
        except GrammarUnusable as error:
            self._unusable[language] = str(error)
            return ()
        except TakesTooLong:
            self._slow.setdefault(path, Patience()).took_too_long()
            return ()
        self._slow.pop(path, None)
        return symbols

    def _forget(self, path: str) -> None:
        self._stamps.pop(path, None)
        self._slow.pop(path, None)
        self._waiting.pop(path, None)
        self._table.remove(path)

    def _is_news_of_folder(self, path: str) -> bool:
        """Whether ``path`` is a folder we do not know, or was one we know."""
        if path in self._folders:
            return not is_folder(path)
        return is_folder(path) and self._files.admits_folder(path)

    # Questions

    def find(self, path: str, names: Sequence[str]) -> Answer:
        """Definitions of ``names`` as the file at ``path`` may mean them, for each the likeliest first."""
        return compose({name: self._table.find(name, path) for name in dict.fromkeys(names)}, self._text)

    def progress(self) -> IndexProgress:
        """How far the index is; whether changes on disk are heard of is not known here."""
        waiting = self._waiting.keys() | self._changed.keys()
        notes = [*self._files.notes]
        if self._is_cut:
            notes.append(f"only the first {self._limits.files} files of {self._files.root} are indexed")
        if self._is_full:
            limit_mib = self._limits.table_bytes // (1024 * 1024)
            notes.append(f"the index of {self._files.root} has reached its {limit_mib} MiB: some files are left out")
        if self._slow:
            how_many = "1 file takes" if len(self._slow) == 1 else f"{len(self._slow)} files take"
            notes.append(f"{how_many} too long to parse and so define nothing")
        notes += [
            f"{why}, so {language.name} files are not indexed; install foretype again"
            for language, why in self._unusable.items()
        ]
        return IndexProgress(
            files_done=len(self._stamps.keys() - waiting),
            files_total=len(self._stamps.keys() | waiting),
            files_given_up=len(self._slow),
            symbols=self._table.symbol_count,
            table_bytes=self._table.memory_bytes,
            is_ready=not self.has_work,
            notes=tuple(notes),
        )

    def _text(self, hit: Found) -> str:
        r"""The beginning of an item, whole rows that end with ``\n``; empty where the file has changed meanwhile."""
        symbol = hit.symbol
        end_byte = min(symbol.end_byte, symbol.start_byte + MAX_TEXT_BYTES)
        if hit.path in self._open:
            part = (self._open.text(hit.path) or b"")[symbol.start_byte : end_byte]
        else:
            part = self._part_of_disk(hit.path, symbol.start_byte, end_byte) or b""
        try:
            return first_rows(part, is_whole=end_byte == symbol.end_byte)
        except UnicodeDecodeError:  # a file that changed without a new stamp
            return ""

    def _part_of_disk(self, path: str, start_byte: int, end_byte: int) -> bytes | None:
        try:
            part = read_part(path, start_byte, end_byte, self._stamps[path])
        except OSError:
            part = None
        if part is None:
            self._changed[path] = None
        return part
