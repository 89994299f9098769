/* Memory for weights and for what is computed from them. */

#ifndef VOICEBENCH_MEMORY_H
#define VOICEBENCH_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

static void *aligned(size_t bytes) {
    size_t edge = bytes >= (1u << 21) ? 1u << 21 : 64;
    void *memory = NULL;
    bytes = (bytes + edge - 1) / edge * edge;
    if (posix_memalign(&memory, edge, bytes) != 0) return NULL;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (edge > 64) madvise(memory, bytes, MADV_HUGEPAGE); /* fewer, larger pages to look up */
#endif
    return memory;
}

/* Memory that is taken piece by piece and released as a whole. Pieces lie one behind the other in
 * large pages: a token reads weights from 24,000 of the usual ones, and each has to be looked up. */
typedef struct Chunk {
    struct Chunk *before;
} Chunk;

typedef struct {
    Chunk *last;
    char *next;
    size_t left;
} Pool;

static inline void *from_pool(Pool *pool, size_t bytes) {
    enum { LINE = 64, CHUNK = 1 << 24 };
    bytes = (bytes + LINE - 1) / LINE * LINE;
    if (bytes > pool->left) {
        size_t size = bytes + LINE > CHUNK ? bytes + LINE : CHUNK;
        Chunk *chunk = aligned(size);
        if (!chunk) return NULL;
        chunk->before = pool->last;
        *pool = (Pool){ chunk, (char *)chunk + LINE, size - LINE };
    }
    char *piece = pool->next;
    pool->next += bytes;
    pool->left -= bytes;
    return piece;
}

/* Take the latest piece back. */
static inline void into_pool(Pool *pool, void *latest) {
    pool->left += (size_t)(pool->next - (char *)latest);
    pool->next = latest;
}

static inline void release_pool(Pool *pool) {
    while (pool->last) {
        Chunk *chunk = pool->last;
        pool->last = chunk->before;
        free(chunk);
    }
}

#endif
