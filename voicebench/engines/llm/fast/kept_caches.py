"""The caches of an engine: one for each turn, kept with what was computed until the next turn.

A prompt of a conversation begins with the messages before it, whose keys and values were computed
in the turn before. So a turn is lent the cache that has the longest beginning of its prompt in
common, and computes only the rest. Ids decide, not texts: where a message is encoded to other ids
than were generated, everything from there on is computed again.

Every prompt begins with the system prompt's ids. Their cache is never lent and never dropped.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from voicebench.engines.llm.common_prefix import common_length
from voicebench.engines.llm.fast.prompt_cache import CachingDecoder, PromptCache, position_bytes

_SMALLEST = 512
"""Positions of a new cache."""
_WORTH_KEEPING = 16
"""A cache with more ids behind the common beginning is copied and kept, not cut: another
conversation may go on with them. Copying an id's keys and values takes a fiftieth of computing
them."""
_ROOM_FOR_A_TURN = 128
"""Ids for which a kept cache has room, so that no turn begins by growing its cache."""


class _Entry:
    """A cache that can be lent, and who uses it."""

    def __init__(self, cache: PromptCache) -> None:
        self.cache = cache
        self.scope: str | None = None
        self.in_use = False
        self.readers = 0
        """How many turns are copying from it; it must not be cut meanwhile."""
        self.last_used = 0

    @property
    def is_kept(self) -> bool:
        """Whether it waits with the keys and values of an earlier turn."""
        return self.scope is not None and not self.in_use

    @property
    def is_blank(self) -> bool:
        """Whether it waits, and nothing is lost if it is taken."""
        return self.scope is None and not self.in_use


class KeptCaches:
    """Gives each turn a cache; bounded in bytes, the least recently used is given up first.

    ``root`` has the ids that all prompts begin with. At most ``most_bytes`` are kept for turns to
    come; with 0 no turn finds anything of another. Caches in use, and one blank cache for each turn
    that ran at once, come on top.
    """

    def __init__(self, decoder: CachingDecoder, root: PromptCache, most_bytes: int) -> None:
        self._decoder = decoder
        self._root = root
        self._most_bytes = most_bytes
        self._smallest = min(max(_SMALLEST, 2 * len(root.ids)), decoder.shape.context)
        self._lock = threading.Lock()
        self._clock = itertools.count(1)
        self._entries: list[_Entry] = [self._new_entry()]

    @contextmanager
    def lent(self, prompt_ids: Sequence[int], scope: str | None) -> Iterator[PromptCache]:
        """Give a turn a cache; its ``ids`` are a beginning of ``prompt_ids``, without the last one.

        It has the longest beginning that a turn of the same ``scope`` has left. With None nothing
        but the root's is found, and nothing is left for others. The cache must not be used after
        the block; what was computed in it is kept.
        """
        entry = self._take(prompt_ids[:-1], scope if self._most_bytes else None)
        try:
            yield entry.cache
        finally:
            self._give_back(entry)

    @property
    def kept_bytes(self) -> int:
        """The memory that is kept for turns to come."""
        return sum(entry.cache.bytes for entry in self._entries if entry.is_kept)

    @property
    def in_use(self) -> bool:
        """Whether a turn has a cache now."""
        return any(entry.in_use for entry in self._entries)

    def clear(self) -> None:
        """Give up all caches that are not in use."""
        with self._lock:
            self._entries = [entry for entry in self._entries if entry.in_use]

    def _take(self, prompt_ids: Sequence[int], scope: str | None) -> _Entry:
        with self._lock:
            source, known = self._longest(prompt_ids, scope)
            place = self._place_for(source, known)
            if place is not None:
                place.in_use, place.scope = True, None
                # From here on nobody finds what it loses.
                place.cache.truncate(common_length(place.cache.ids, prompt_ids[:known]))
            if source is not None:
                source.readers += 1
                source.last_used = next(self._clock)
        try:
            if place is None:
                place = self._new_entry()
                place.in_use = True
                with self._lock:
                    self._entries.append(place)
            place.cache.begin_with(self._root if source is None else source.cache, known)
        except BaseException:
            if place is not None:  # without memory for a copy, say
                place.in_use = False
            raise
        finally:
            if source is not None:
                with self._lock:
                    source.readers -= 1
        place.scope = scope
        return place

    def _longest(self, wanted: Sequence[int], scope: str | None) -> tuple[_Entry | None, int]:
        """Return the entry with the longest common beginning, and its length; None is the root."""
        source, known = None, common_length(self._root.ids, wanted)
        if scope is None:
            return source, known
        # An idle entry needs no copy, so it comes before an equal one that is in use.
        for entry in sorted(self._entries, key=lambda one: (one.in_use, -one.last_used)):
            if entry.scope == scope:
                common = common_length(entry.cache.ids, wanted)
                if common > known:
                    source, known = entry, common
        return source, known

    def _place_for(self, source: _Entry | None, known: int) -> _Entry | None:
        """Return the entry to lend; None where a new one has to be made."""
        if source is not None and source.is_kept and not source.readers:
            behind = len(source.cache.ids) - known
            if behind <= _WORTH_KEEPING:
                return source
        blank = next((entry for entry in self._entries if entry.is_blank), None)
        if blank is not None:
            return blank
        if self.kept_bytes + self._smallest_bytes <= self._most_bytes:
            return None
        return self._least_recent(but=source) or (
            source if source is not None and source.is_kept and not source.readers else None
        )

    def _give_back(self, entry: _Entry) -> None:
        if entry.scope is None:
            entry.cache.truncate(len(self._root.ids))
        else:
            entry.cache.make_room(_ROOM_FOR_A_TURN)
        with self._lock:
            entry.in_use = False
            entry.last_used = next(self._clock)
            while self.kept_bytes > self._most_bytes:
                given_up = self._least_recent()
                if given_up is None:
                    break
                self._forget(given_up)
            needs_blank = (
                entry.scope is not None
                and not any(one.is_blank for one in self._entries)
                and self.kept_bytes + self._smallest_bytes <= self._most_bytes
            )
        if needs_blank:
            # Now, when nobody waits for it: the next conversation need not wait for memory.
            blank = self._new_entry()
            with self._lock:
                self._entries.append(blank)

    def _least_recent(self, but: _Entry | None = None) -> _Entry | None:
        kept = [
            entry
            for entry in self._entries
            if entry.is_kept and not entry.readers and entry is not but
        ]
        return min(kept, key=lambda entry: entry.last_used, default=None)

    def _forget(self, entry: _Entry) -> None:
        """Make an entry blank, or drop it if it has grown."""
        entry.scope = None
        entry.cache.truncate(len(self._root.ids))
        if entry.cache.capacity > self._smallest:
            self._entries.remove(entry)

    def _new_entry(self) -> _Entry:
        cache = PromptCache(self._decoder, self._smallest)
        cache.begin_with(self._root, len(self._root.ids))
        return _Entry(cache)

    @property
    def _smallest_bytes(self) -> int:
        return self._smallest * position_bytes(self._decoder.shape)
