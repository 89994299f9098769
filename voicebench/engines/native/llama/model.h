/* What a model is made of, and what a pass over it works on. */

#ifndef VOICEBENCH_LLAMA_MODEL_H
#define VOICEBENCH_LLAMA_MODEL_H

#include <pthread.h>

#include "products.h"

typedef struct {
    int hidden, intermediate, layers, heads, kv_heads, head_size, vocabulary;
    float epsilon;
} Sizes;

typedef struct {
    float *input_norm, *query_norm, *key_norm, *mlp_norm;
    Matrix qkv, output, gate_up, down;
    int window; /* how many latest positions are seen; 0 for all */
} Layer;

/* Consecutive positions of one sequence, with its cache (NativeDecoder has the same in Python).
 * `prompt` is how many positions the sequence computes in all before it has scores: the arithmetic
 * depends on it, and not on how they are cut into passes. If the scores after the last row are
 * `wanted`, the pass writes which of its `scored` rows they are. */
typedef struct {
    float *keys, *values;
    int32_t rows, capacity, start, prompt, wanted, scored;
} Segment;

/* Where a row of a pass belongs: its segment and its position. */
typedef struct {
    const Segment *segment;
    int at;
} Place;

enum { BLOCK_ROWS = 8 };

/* Rows of one segment, at most BLOCK_ROWS, whose attention is computed together, as row `to` and the
 * next ones. */
typedef struct {
    int first, rows, to;
} Block;

/* The rows of all segments, one segment behind the other. `last` are the rows whose scores are
 * wanted, as a block each. */
typedef struct {
    float *scores; /* (scored row, vocabulary) */
    int rows, scored, blocks;
    Block block[MOST_ROWS], last[MOST_ROWS];
    int32_t ids[MOST_ROWS];
    Place places[MOST_ROWS];
} Pass;

/* Whether threads that wait for each other at every step are faster than one alone: not where
 * something else has taken a core. `quickest` is the time of a single token alone, in nanoseconds;
 * `slow` counts tokens of all threads that took longer; `alone` how many come that are computed by
 * one. */
typedef struct {
    double quickest;
    int slow, alone;
} Pace;

typedef struct {
    Sizes sizes;
    Pool pool; /* everything below but the layers' own table and what is the caller's */
    Layer *layers;
    float *norm;
    Matrix head;
    const float *cosine, *sine;       /* (position, head size), the caller's */
    Source embedding;                 /* (id, hidden), the caller's */
    float *hidden, *qkv, *seen, *wide; /* (row, width): between the steps of a layer */
    float *attention;                  /* each thread's room */
    Narrowed narrow, broad; /* of hidden; of seen or wide */
    int threads;
    Pass pass;
    pthread_mutex_t busy;
    Pace pace;
} Model;

#endif
