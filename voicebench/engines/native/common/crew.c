/* The threads of the crew: asleep when there is nothing to do, awake between two steps of a turn. */

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "crew.h"

enum {
    LOOK_OUT_US = 200, /* how long an idle thread stays awake: the pause between two tokens. In a
                          longer one it sleeps, and the core is another's. */
};

Crew crew = { .threads = 1 };

static struct {
    int threads; /* the caller's own among them */
    atomic_uint calls[MOST_THREADS]; /* how often each thread was called to work */
    atomic_int cores[MOST_THREADS]; /* the core on which each thread was last awake */
    pthread_t workers[MOST_THREADS];
    Work *work;
    void *task;
    pthread_mutex_t busy, gate;
    pthread_cond_t opened;
} pool = {
    .threads = 1,
    .busy = PTHREAD_MUTEX_INITIALIZER,
    .gate = PTHREAD_MUTEX_INITIALIZER,
    .opened = PTHREAD_COND_INITIALIZER,
};

static int64_t microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* A thread that is woken while all cores are busy waits on the core that it fell asleep on, behind
 * whatever runs there: for milliseconds, though another core is free at once. Where that is the
 * caller, which works as long as the thread does, the two would do all of it one after the other.
 * So the caller sends each thread that sleeps on its own core to the others. */
#if defined(__linux__)
static void note_core(int thread) {
    atomic_store_explicit(pool.cores + thread, sched_getcpu(), memory_order_relaxed);
}

static void leave_my_core(int threads) {
    int mine = sched_getcpu();
    for (int thread = 1; thread < threads; thread++) {
        if (atomic_load_explicit(pool.cores + thread, memory_order_relaxed) != mine) continue;
        cpu_set_t others; /* of those that the caller may use; fails beyond 1024 cores */
        if (sched_getaffinity(0, sizeof others, &others)) return;
        CPU_CLR(mine, &others);
        if (CPU_COUNT(&others)) pthread_setaffinity_np(pool.workers[thread], sizeof others, &others);
    }
}
#else
static void note_core(int thread) { (void)thread; }
static void leave_my_core(int threads) { (void)threads; }
#endif

/* Look out for the next call, for as long as the pause between two tokens may be: to be woken takes
 * a sleeping thread longer than many steps. */
static void look_out(atomic_uint *calls, unsigned done) {
    for (int64_t end = microseconds() + LOOK_OUT_US; microseconds() < end;)
        for (int looks = 0; looks < 32; looks++) {
            if (atomic_load_explicit(calls, memory_order_acquire) != done) return;
            pause_briefly();
        }
}

static void *wait_for_work(void *argument) {
    int thread = (int)(intptr_t)argument;
    atomic_uint *calls = pool.calls + thread;
    for (unsigned done = 0;; done++) {
        note_core(thread);
        look_out(calls, done);
        if (atomic_load(calls) == done) {
            pthread_mutex_lock(&pool.gate);
            while (atomic_load(calls) == done) pthread_cond_wait(&pool.opened, &pool.gate);
            pthread_mutex_unlock(&pool.gate);
        }
        pool.work(pool.task, thread);
    }
    return NULL;
}

int crew_of(int wanted) {
    if (wanted > MOST_THREADS) wanted = MOST_THREADS;
    pthread_mutex_lock(&pool.busy);
    while (pool.threads < wanted) {
        pthread_t *worker = pool.workers + pool.threads;
        void *number = (void *)(intptr_t)pool.threads;
        if (pthread_create(worker, NULL, wait_for_work, number)) break; /* slower, and right */
        pthread_detach(*worker);
        pool.threads++;
    }
    int threads = pool.threads < wanted ? pool.threads : wanted;
    pthread_mutex_unlock(&pool.busy);
    return threads < 1 ? 1 : threads;
}

void crew_works(int threads, Work *work, void *task) {
    pthread_mutex_lock(&pool.busy);
    pool.work = work;
    pool.task = task;
    crew.threads = threads;
    if (threads > 1) {
        leave_my_core(threads);
        pthread_mutex_lock(&pool.gate);
        for (int thread = 1; thread < threads; thread++) atomic_fetch_add(pool.calls + thread, 1);
        pthread_cond_broadcast(&pool.opened);
        pthread_mutex_unlock(&pool.gate);
    }
    work(task, 0);
    pthread_mutex_unlock(&pool.busy);
}
