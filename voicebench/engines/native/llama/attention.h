/*
 * What a position sees of the positions before it.
 *
 * A block of queries goes through the positions span by span, and keeps of those it has seen only
 * the largest score, the sum of the shares, and the values by these shares: each span scales them by
 * what its own largest score changes. (Milakov and Gimelshein, Online normalizer calculation for
 * softmax; the blocks are the idea of FlashAttention.) So the scores of a long prompt never leave the
 * near memory. Spans begin at the same positions for every query: what a row gives does not depend on
 * the rows beside it.
 *
 * Keys are kept as (layer, key head, strip, head size, STRIP), values as (layer, key head, capacity,
 * head size).
 */

#ifndef VOICEBENCH_LLAMA_ATTENTION_H
#define VOICEBENCH_LLAMA_ATTENTION_H

#include "model.h"
#include "spans.h"

static void normalise(const float *numbers, const float *weight, int size, float epsilon,
                      float *out) {
    float sum = 0;
    for (int i = 0; i < size; i++) sum += numbers[i] * numbers[i];
    float scale = 1 / sqrtf(sum / (float)size + epsilon);
    for (int i = 0; i < size; i++) out[i] = numbers[i] * scale * weight[i];
}

static void turn(float *restrict head, int size, const float *restrict cosine,
                 const float *restrict sine) {
    int half = size / 2;
    for (int i = 0; i < half; i++) {
        float one = head[i], other = head[i + half];
        head[i] = one * cosine[i] + other * sine[i];
        head[i + half] = other * cosine[i + half] + one * sine[i + half];
    }
}

static int qkv_width(const Sizes *sizes) {
    return (sizes->heads + 2 * sizes->kv_heads) * sizes->head_size;
}

/* Give the keys and values of one key head their places, for some rows. */
static void keep_head(Model *model, int number, int head, int first, int rows) {
    const Sizes *sizes = &model->sizes;
    const Layer *layer = model->layers + number;
    int size = sizes->head_size;
    for (int row = first; row < first + rows; row++) {
        const Segment *own = model->pass.places[row].segment;
        size_t at = model->pass.places[row].at;
        size_t place = ((size_t)number * sizes->kv_heads + head) * own->capacity * size;
        float *key = model->qkv + (size_t)row * qkv_width(sizes) + (sizes->heads + head) * size;
        if (layer->key_norm) normalise(key, layer->key_norm, size, sizes->epsilon, key);
        turn(key, size, model->cosine + at * size, model->sine + at * size);
        float *kept = own->keys + place + at / STRIP * STRIP * size + at % STRIP;
        for (int i = 0; i < size; i++) kept[i * STRIP] = key[i];
        memcpy(own->values + place + at * size, key + sizes->kv_heads * size, size * sizeof *key);
    }
}

static void keep_heads(Model *model, int number) {
    enum { ROWS = 2 * STRIP };
    int heads = model->sizes.kv_heads, rows = model->pass.rows;
    SHARED(piece, heads * ((rows + ROWS - 1) / ROWS)) {
        int first = piece / heads * ROWS;
        keep_head(model, number, piece % heads, first, rows - first < ROWS ? rows - first : ROWS);
    }
}

#define NOWHERE -1e30f /* a score whose share is nothing */

/* What a query has seen so far. */
typedef struct {
    float most, sum;
} Seen;

/* Turn the scores from `from` to `to` into shares, and all others up to `count` into zeros; return
 * the factor for what was seen before. */
static float share_out(float *scores, int from, int to, int count, Seen *so_far) {
    if (from >= to) {
        memset(scores, 0, count * sizeof *scores);
        return 1;
    }
    int begin = from / WIDE * WIDE, end = (to + WIDE - 1) / WIDE * WIDE;
    for (int j = begin; j < from; j++) scores[j] = NOWHERE;
    for (int j = to; j < end; j++) scores[j] = NOWHERE;
    wide largest = load(scores + begin);
    for (int j = begin + WIDE; j < end; j += WIDE) {
        wide some = load(scores + j);
        largest = pick(some > largest, some, largest);
    }
    float most = so_far->most;
    for (int lane = 0; lane < WIDE; lane++) most = largest[lane] > most ? largest[lane] : most;
    for (int j = begin; j < end; j += WIDE)
        store(scores + j, exponential(load(scores + j) - all(most)));
    memset(scores, 0, from * sizeof *scores);
    int until = count > end ? count : end;
    memset(scores + to, 0, (until - to) * sizeof *scores);
    wide shares = all(0);
    for (int j = begin; j < end; j += WIDE) shares += load(scores + j);
    float factor = exponential(all(so_far->most - most))[0], sum = 0;
    for (int lane = 0; lane < WIDE; lane++) sum += shares[lane];
    *so_far = (Seen){ most, so_far->sum * factor + sum };
    return factor;
}

/* Copy a query to where its block is, turned to its position, and so that its products are scores. */
static void take_query(const Model *model, const Layer *layer, const float *from, size_t at,
                       float *query) {
    int size = model->sizes.head_size;
    float scale = 1 / sqrtf((float)size);
    if (layer->query_norm) normalise(from, layer->query_norm, size, model->sizes.epsilon, query);
    else memcpy(query, from, size * sizeof *query);
    turn(query, size, model->cosine + at * size, model->sine + at * size);
    for (int i = 0; i < size; i++) query[i] *= scale;
}

/* How much room a thread has for a block of queries: for queries and what they see, scores, factors
 * and what was seen so far. */
static size_t attention_room(const Sizes *sizes) {
    size_t queries = (size_t)BLOCK_ROWS * (sizes->heads / sizes->kv_heads);
    return queries * (2 * sizes->head_size + SPAN + 1 + sizeof(Seen) / sizeof(float));
}

/* Compute what some query heads of a block of rows see, which share their keys. */
static void attend(Model *model, int number, const Block *block, int head, int heads, float *room) {
    const Sizes *sizes = &model->sizes;
    const Layer *layer = model->layers + number;
    const Place *places = model->pass.places + block->first;
    const Segment *own = places->segment;
    int size = sizes->head_size, queries = block->rows * heads;
    float *query = room, *seen = query + queries * size, *scores = seen + queries * size;
    float *factors = scores + queries * SPAN;
    Seen *so_far = (Seen *)(factors + queries);
    for (int each = 0; each < queries; each++) {
        int row = each / heads;
        const float *from = model->qkv + (size_t)(block->first + row) * qkv_width(sizes);
        take_query(model, layer, from + (head + each % heads) * size, places[row].at,
                   query + each * size);
        so_far[each] = (Seen){ NOWHERE, 0 };
    }
    memset(seen, 0, (size_t)queries * size * sizeof *seen);
    size_t key_head = (size_t)number * sizes->kv_heads + head / (sizes->heads / sizes->kv_heads);
    const float *keys = own->keys + key_head * own->capacity * size;
    const float *values = own->values + key_head * own->capacity * size;
    int end = places[block->rows - 1].at + 1, begin = places->at + 1 - layer->window;
    if (!layer->window || begin < 0) begin = 0;
    for (int span = begin / SPAN * SPAN; span < end; span += SPAN) {
        int count = end - span < SPAN ? end - span : SPAN, strips = (count + STRIP - 1) / STRIP;
        fit(queries, query, keys + (size_t)span * size, size, strips, scores);
        for (int each = 0; each < queries; each++) {
            int to = places[each / heads].at + 1, from = layer->window ? to - layer->window : 0;
            from = from < span ? 0 : from - span;
            to = to - span < count ? to - span : count;
            factors[each] = share_out(scores + each * SPAN, from, to, count, so_far + each);
        }
        gather(queries, scores, values + (size_t)span * size, size, count, factors, seen);
    }
    for (int each = 0; each < queries; each++) {
        float *to = model->seen + ((size_t)(block->to + each / heads) * sizes->heads + head +
                                   each % heads) * size;
        for (int i = 0; i < size; i++) to[i] = seen[each * size + i] / so_far[each].sum;
    }
}

/* Share the blocks among the threads: by key head, or, if that gives a thread too few pieces, by
 * head. The latest blocks see most, and come first. */
static void attend_blocks(Model *model, int number, const Block *blocks, int count, int thread) {
    const Sizes *sizes = &model->sizes;
    int heads = sizes->heads / sizes->kv_heads, groups = sizes->kv_heads;
    if (count * groups < 4 * crew.threads) groups = sizes->heads, heads = 1;
    float *room = model->attention + (size_t)thread * attention_room(sizes);
    SHARED(piece, groups * count)
        attend(model, number, blocks + count - 1 - piece / groups, piece % groups * heads, heads,
               room);
}

#endif
