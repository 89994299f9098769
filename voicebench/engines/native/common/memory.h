/* Memory for weights and for what is computed from them. */

#ifndef VOICEBENCH_MEMORY_H
#define VOICEBENCH_MEMORY_H

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

#endif
