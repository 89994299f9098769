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

typedef struct {
    const int32_t *ids;
    float *keys, *values, *scores;
    int rows, capacity, start;
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
    Layer *layers;
    float *norm;
    Matrix head;
    const float *cosine, *sine;       /* (position, head size), the caller's */
    Source embedding;                 /* (id, hidden), the caller's */
    float *hidden, *qkv, *seen, *wide; /* (row, width): between the steps of a layer */
    float *attention;                 /* (thread, head, position) */
    int attention_room;
    Narrowed narrow, broad; /* of hidden; of seen or wide */
    int threads;
    Pass pass;
    pthread_mutex_t busy;
    Pace pace;
} Model;

#endif
