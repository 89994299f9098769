#include "arena.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

#if !defined(MAP_NORESERVE)
#define MAP_NORESERVE 0
#endif

static char *mapped;

static void map(void) {
    void *memory = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED) mapped = memory;
}

char *arena(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, map);
    return mapped;
}
