/* Threads that compute one piece of work together. All of them walk through the same steps; they
 * take the pieces of each step from a common counter, so that a thread that lost its core delays
 * nobody long, and meet at a barrier after the step.
 *
 * There is one crew in a process, and it does one piece of work at a time: two at once on the same
 * cores would each take longer. */

#ifndef VOICEBENCH_CREW_H
#define VOICEBENCH_CREW_H

#include <sched.h>
#include <stdatomic.h>

enum { MOST_THREADS = 64, PATIENCE = 2000 };

typedef struct {
    int threads;
    atomic_uint arrived, generation;
    atomic_int next;
} Crew;

extern Crew crew;

/* What a thread does; thread 0 is the caller's own. It ends with a meeting, and touches nothing of
 * the task after it: then the caller goes on. */
typedef void Work(void *task, int thread);

/* See that there are `wanted` threads; return how many there are of them. */
int crew_of(int wanted);

/* Compute with some threads; whoever calls meanwhile waits. */
void crew_works(int threads, Work *work, void *task);

static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* Wait until all threads are here; then the counter of pieces starts anew. */
static inline void meet(void) {
    unsigned threads = (unsigned)crew.threads; /* once: it may change when all have arrived */
    if (threads == 1) {
        atomic_store_explicit(&crew.next, 0, memory_order_relaxed);
        return;
    }
    unsigned generation = atomic_load_explicit(&crew.generation, memory_order_acquire);
    if (atomic_fetch_add_explicit(&crew.arrived, 1, memory_order_acq_rel) + 1 == threads) {
        atomic_store_explicit(&crew.arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&crew.next, 0, memory_order_relaxed);
        atomic_store_explicit(&crew.generation, generation + 1, memory_order_release);
        return;
    }
    for (int waits = 0;
         atomic_load_explicit(&crew.generation, memory_order_acquire) == generation; waits++) {
        if (waits < PATIENCE) pause_briefly();
        else sched_yield(); /* the other thread may need this very core */
    }
}

/* Run the statement for every piece in [0, pieces), shared among the threads. */
#define SHARED(piece, pieces)                                                                     \
    for (int piece;                                                                               \
         (piece = atomic_fetch_add_explicit(&crew.next, 1, memory_order_relaxed)) < (pieces);)

#endif
