/*
 * A thread's way through the network, and what the layers of a stream keep between two windows.
 *
 * All threads of the crew walk the same way: each lays out the same memory and counts the same
 * rows, and only the pieces of the products are shared out.
 *
 * A convolution that streams needs the last rows of the window before it; a sum beside it has to
 * wait for it. Each such place keeps a few rows in the stream, in the order in which the layers
 * come, which is the same in every window. Nothing is computed twice and nothing is approximated: a
 * layer gives out each row as soon as all that it depends on has come in, with zeros beyond the
 * true ends of the utterance.
 */

#ifndef VOICEBENCH_WALK_H
#define VOICEBENCH_WALK_H

#include "convolutions.h"

enum { MOST_PLACES = 1024 };

/* Rows that one place keeps, and how many rows have come through it so far. */
typedef struct {
    float *rows;
    int count, seen;
    size_t room;
} Kept;

typedef struct {
    int begun;
    int now; /* which side holds what the last window kept; the next one goes to the other */
    Kept sides[2][MOST_PLACES];
} Stream;

typedef struct {
    Stream *stream;
    char *memory;
    size_t used;
    int thread, place;
    int first, last; /* whether the true start or end of the utterance is in this window */
} Walk;

static void *take_bytes(Walk *walk, size_t bytes) {
    void *taken = walk->memory + walk->used;
    walk->used += (bytes + 63) / 64 * 64;
    return taken;
}

static float *take(Walk *walk, size_t rows, size_t channels) {
    return take_bytes(walk, rows * channels * sizeof(float));
}

/* Rows with those that were kept, or the zeros at the true start, before them: `put` is where the
 * new ones go. */
typedef struct {
    float *rows, *put;
    int number, count, channels, seen, fresh;
} Place;

static Place open_place(Walk *walk, float *memory, int channels, int edge, int fresh) {
    const Stream *stream = walk->stream;
    const Kept *kept = stream->sides[stream->now] + walk->place;
    int lead = walk->first ? edge : kept->count, trail = walk->last ? edge : 0;
    size_t line = channels * sizeof(float);
    if (walk->thread == 0) {
        if (walk->first) memset(memory, 0, lead * line);
        else if (lead) memcpy(memory, kept->rows, lead * line);
        memset(memory + (size_t)(lead + fresh) * channels, 0, trail * line);
    }
    return (Place){
        .rows = memory,
        .put = memory + (size_t)lead * channels,
        .number = walk->place++,
        .count = lead + fresh + trail,
        .channels = channels,
        .seen = walk->first ? 0 : kept->seen,
        .fresh = fresh,
    };
}

/* Keep the rows from `from` on for the next window; they have been put in by now. */
static void close_place(Walk *walk, const Place *place, int from) {
    if (walk->thread != 0 || walk->last) return;
    Kept *kept = walk->stream->sides[!walk->stream->now] + place->number;
    if (from < 0) from = 0;
    kept->count = place->count > from ? place->count - from : 0;
    kept->seen = place->seen + place->fresh;
    size_t bytes = (size_t)kept->count * place->channels * sizeof(float);
    if (bytes > kept->room) {
        free(kept->rows);
        kept->rows = malloc(bytes);
        if (!kept->rows) abort(); /* some kilobytes: the process is at its end anyway */
        kept->room = bytes;
    }
    if (bytes) memcpy(kept->rows, place->rows + (size_t)from * place->channels, bytes);
}

enum { CHUNK = 32 /* rows that a thread takes at once */ };

/* Run the statement for every row in [0, rows), shared among the threads by chunks. */
#define SHARED_ROWS(row, rows)                                                                    \
    SHARED(chunk, ((rows) + CHUNK - 1) / CHUNK)                                                   \
    for (int row = chunk * CHUNK; row < (rows) && row < (chunk + 1) * CHUNK; row++)

static void copy_rows(const float *from, int stride, int rows, int channels, float *to) {
    SHARED_ROWS(row, rows)
        memcpy(to + (size_t)row * channels, from + (size_t)row * stride, channels * sizeof *to);
    meet();
}

/* Return rows (contiguous) as what `weights` multiply, after a leaky ReLU; slope 1 leaves them as
 * they are. */
static const void *bent(Walk *walk, const Weights *weights, const float *rows, int count,
                        int channels, float slope) {
    size_t chunk_size = (size_t)CHUNK * channels, total = (size_t)count * channels;
    int chunks = (count + CHUNK - 1) / CHUNK;
#if defined(HAVE_TILES)
    if (weights->kind == BFLOATS) {
        uint16_t *to = take_bytes(walk, total * sizeof *to);
        SHARED(chunk, chunks) {
            size_t at = chunk * chunk_size, end = at + chunk_size < total ? at + chunk_size : total;
            for (; at < end; at += 2 * WIDE) {
                __m512 one = (__m512)leaky(load(rows + at), slope);
                __m512 other = (__m512)leaky(load(rows + at + WIDE), slope);
                __m512bh both = _mm512_cvtne2ps_pbh(other, one);
                memcpy(to + at, &both, sizeof both);
            }
        }
        meet();
        return to;
    }
#endif
    (void)weights;
    if (slope == 1) return rows;
    float *to = take(walk, count, channels);
    SHARED(chunk, chunks) {
        size_t at = chunk * chunk_size, end = at + chunk_size < total ? at + chunk_size : total;
        for (; at + WIDE <= end; at += WIDE) store(to + at, leaky(load(rows + at), slope));
        for (; at < end; at++) to[at] = rows[at] > 0 ? rows[at] : rows[at] * slope;
    }
    meet();
    return to;
}

/* Where the numbers of bent rows begin, `rows` of them further on. */
static const void *further(const Weights *weights, const void *numbers, int rows, int channels) {
    size_t each = weights->kind == BFLOATS ? sizeof(uint16_t) : sizeof(float);
    return (const char *)numbers + (size_t)rows * channels * each;
}

#endif
