/*
 * What a position sees of the positions before it.
 *
 * Keys are kept as (layer, key head, head size, capacity), so that the scores of many positions are
 * computed side by side; values as (layer, key head, capacity, head size).
 */

#ifndef VOICEBENCH_LLAMA_ATTENTION_H
#define VOICEBENCH_LLAMA_ATTENTION_H

#include "model.h"
#include "wide.h"

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

/* Give the keys and values of one key head their places, for all rows. */
static void keep_head(Model *model, int number, int head) {
    const Sizes *sizes = &model->sizes;
    const Layer *layer = model->layers + number;
    const Pass *pass = &model->pass;
    int size = sizes->head_size;
    for (int row = 0; row < pass->rows; row++) {
        const Segment *own = pass->places[row].segment;
        size_t at = pass->places[row].at, capacity = own->capacity;
        size_t place = ((size_t)number * sizes->kv_heads + head) * capacity * size;
        float *key = model->qkv + (size_t)row * qkv_width(sizes) + (sizes->heads + head) * size;
        if (layer->key_norm) normalise(key, layer->key_norm, size, sizes->epsilon, key);
        turn(key, size, model->cosine + at * size, model->sine + at * size);
        for (int i = 0; i < size; i++) own->keys[place + i * capacity + at] = key[i];
        memcpy(own->values + place + at * size, key + sizes->kv_heads * size,
               size * sizeof *key);
    }
}

enum { TOGETHER = 3 /* query heads that read the same keys at once: what registers have room for */ };

/* Write to scores (head, room) how well each query (head, size) fits the keys from first on. Whole
 * lanes are computed: first and the capacity are multiples of LANES. `heads` is known when this is
 * compiled. */
static inline __attribute__((always_inline)) void compare(
    const int heads, const float *queries, const float *keys, int size, int capacity, int first,
    int count, float *scores, int room) {
    enum { BROAD = 2 * WIDE };
    for (int j = 0; j < count; j += BROAD) {
        const float *from = keys + first + j;
        if (j + BROAD <= count) {
            wide left[TOGETHER], right[TOGETHER];
            for (int head = 0; head < heads; head++) left[head] = right[head] = all(0);
            for (int i = 0; i < size; i++) {
                wide one = load(from + (size_t)i * capacity);
                wide other = load(from + (size_t)i * capacity + WIDE);
                for (int head = 0; head < heads; head++) {
                    wide number = all(queries[head * size + i]);
                    left[head] += number * one;
                    right[head] += number * other;
                }
            }
            for (int head = 0; head < heads; head++) {
                store(scores + head * room + j, left[head]);
                store(scores + head * room + j + WIDE, right[head]);
            }
            continue;
        }
        for (int lane = 0; lane < count - j; lane += LANES)
            for (int head = 0; head < heads; head++) {
                vec8 one = all8(0), other = all8(0);
                for (int i = 0; i < size; i += 2) {
                    const float *key = from + (size_t)i * capacity + lane;
                    one += all8(queries[head * size + i]) * load8(key);
                    other += all8(queries[head * size + i + 1]) * load8(key + capacity);
                }
                store8(scores + head * room + j + lane, one + other);
            }
    }
}

#define NOWHERE -1e30f /* a score whose share is nothing */

/* Turn the scores from `skipped` to `count` into shares that add up to the returned number. */
static float share_out(float *scores, int skipped, int count, float scale) {
    float most = scores[skipped];
    for (int j = skipped; j < count; j++) most = scores[j] > most ? scores[j] : most;
    for (int j = 0; j < skipped; j++) scores[j] = NOWHERE;
    for (int j = count; j % LANES; j++) scores[j] = NOWHERE;
    vec8 sum = all8(0);
    for (int j = 0; j < count; j += LANES) {
        vec8 share = exponential8((load8(scores + j) - all8(most)) * all8(scale));
        store8(scores + j, share);
        sum += share;
    }
    return sum8(sum);
}

/* Write what each head sees (head, size): the values by its shares, times its scale. */
static inline __attribute__((always_inline)) void gather(
    const int heads, const float *shares, int room, const float *values, int size, int count,
    const float *scales, float *seen) {
    int i = 0;
    for (; i + 2 * WIDE <= size; i += 2 * WIDE) {
        wide left[TOGETHER], right[TOGETHER];
        for (int head = 0; head < heads; head++) left[head] = right[head] = all(0);
        for (int j = 0; j < count; j++) {
            wide one = load(values + (size_t)j * size + i);
            wide other = load(values + (size_t)j * size + i + WIDE);
            for (int head = 0; head < heads; head++) {
                wide share = all(shares[head * room + j]);
                left[head] += share * one;
                right[head] += share * other;
            }
        }
        for (int head = 0; head < heads; head++) {
            store(seen + head * size + i, left[head] * all(scales[head]));
            store(seen + head * size + i + WIDE, right[head] * all(scales[head]));
        }
    }
    for (; i < size; i++)
        for (int head = 0; head < heads; head++) {
            float sum = 0;
            for (int j = 0; j < count; j++)
                sum += shares[head * room + j] * values[(size_t)j * size + i];
            seen[head * size + i] = sum * scales[head];
        }
}

/* Compute what some query heads of one row see, which share their keys, as row `to`; scores is room
 * for the positions of each (head, room). */
static inline __attribute__((always_inline)) void attend_heads(
    const int heads, Model *model, int number, int head, int row, int to, float *scores) {
    const Sizes *sizes = &model->sizes;
    const Layer *layer = model->layers + number;
    const Segment *own = model->pass.places[row].segment;
    int size = sizes->head_size, at = model->pass.places[row].at, first = 0;
    int room = model->attention_room;
    if (layer->window && at + 1 > layer->window) first = at + 1 - layer->window;
    float *queries = model->qkv + (size_t)row * qkv_width(sizes) + head * size;
    for (int each = 0; each < heads; each++) {
        float *query = queries + each * size;
        if (layer->query_norm) normalise(query, layer->query_norm, size, sizes->epsilon, query);
        turn(query, size, model->cosine + (size_t)at * size, model->sine + (size_t)at * size);
    }
    int skipped = first % LANES; /* whole lanes are computed, from the first one that is seen */
    first -= skipped;
    int shared = sizes->heads / sizes->kv_heads, count = at + 1 - first;
    size_t place = ((size_t)number * sizes->kv_heads + head / shared) * own->capacity * size;
    compare(heads, queries, own->keys + place, size, own->capacity, first, count, scores, room);
    float scales[TOGETHER];
    for (int each = 0; each < heads; each++)
        scales[each] = 1 / share_out(scores + each * room, skipped, count, 1 / sqrtf((float)size));
    gather(heads, scores, room, own->values + place + (size_t)first * size, size, count, scales,
           model->seen + ((size_t)to * sizes->heads + head) * size);
}

/* How many query heads are computed at once: of many rows those that share their keys, of a single
 * row one, so that there is something for every thread. Each head's sums are the same in both. */
static int heads_at_once(const Model *model, int rows) {
    int shared = model->sizes.heads / model->sizes.kv_heads;
    return rows > 1 && shared % TOGETHER == 0 ? TOGETHER : rows > 1 && shared % 2 == 0 ? 2 : 1;
}

static void attend(int heads, Model *model, int number, int head, int row, int to,
                   float *scores) {
    if (heads == TOGETHER) attend_heads(TOGETHER, model, number, head, row, to, scores);
    else if (heads == 2) attend_heads(2, model, number, head, row, to, scores);
    else attend_heads(1, model, number, head, row, to, scores);
}

#endif
