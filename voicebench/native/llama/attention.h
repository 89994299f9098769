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
    size_t place = ((size_t)number * sizes->kv_heads + head) * pass->capacity * size;
    for (int row = 0; row < pass->rows; row++) {
        size_t at = pass->start + row;
        float *key = model->qkv + (size_t)row * qkv_width(sizes) + (sizes->heads + head) * size;
        if (layer->key_norm) normalise(key, layer->key_norm, size, sizes->epsilon, key);
        turn(key, size, model->cosine + at * size, model->sine + at * size);
        for (int i = 0; i < size; i++) pass->keys[place + (size_t)i * pass->capacity + at] = key[i];
        memcpy(pass->values + place + at * size, key + sizes->kv_heads * size,
               size * sizeof *key);
    }
}

/* Write to scores[j] how well the query fits the key at first + j. Whole lanes are computed: first
 * and the capacity are multiples of LANES. */
static void compare(const float *query, const float *keys, int size, int capacity, int first,
                    int count, float *scores) {
    enum { BROAD = 4 * LANES, WIDES = BROAD / WIDE };
    for (int j = 0; j < count; j += BROAD) {
        const float *from = keys + first + j;
        int lanes = (count - j + LANES - 1) / LANES;
        if (lanes * LANES >= BROAD) {
            wide sums[WIDES] = { 0 };
            for (int i = 0; i < size; i++)
                for (int part = 0; part < WIDES; part++)
                    sums[part] += all(query[i]) * load(from + (size_t)i * capacity + part * WIDE);
            for (int part = 0; part < WIDES; part++) store(scores + j + part * WIDE, sums[part]);
            continue;
        }
        for (int lane = 0; lane < lanes; lane++) {
            vec8 one = all8(0), other = all8(0);
            for (int i = 0; i < size; i += 2) {
                const float *key = from + (size_t)i * capacity + lane * LANES;
                one += all8(query[i]) * load8(key);
                other += all8(query[i + 1]) * load8(key + capacity);
            }
            store8(scores + j + lane * LANES, one + other);
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

static void gather(const float *shares, const float *values, int size, int count, float scale,
                   float *seen) {
    int i = 0;
    for (; i + 2 * WIDE <= size; i += 2 * WIDE) {
        wide one = all(0), other = all(0);
        for (int j = 0; j < count; j++) {
            const float *value = values + (size_t)j * size + i;
            one += all(shares[j]) * load(value);
            other += all(shares[j]) * load(value + WIDE);
        }
        store(seen + i, one * all(scale));
        store(seen + i + WIDE, other * all(scale));
    }
    for (; i < size; i++) {
        float sum = 0;
        for (int j = 0; j < count; j++) sum += shares[j] * values[(size_t)j * size + i];
        seen[i] = sum * scale;
    }
}

/* Compute what one query head of one row sees; scores is room for the positions. */
static void attend(Model *model, int number, int head, int row, float *scores) {
    const Sizes *sizes = &model->sizes;
    const Layer *layer = model->layers + number;
    const Pass *pass = &model->pass;
    int size = sizes->head_size, at = pass->start + row, first = 0;
    if (layer->window && at + 1 > layer->window) first = at + 1 - layer->window;
    float *query = model->qkv + (size_t)row * qkv_width(sizes) + head * size;
    if (layer->query_norm) normalise(query, layer->query_norm, size, sizes->epsilon, query);
    turn(query, size, model->cosine + (size_t)at * size, model->sine + (size_t)at * size);
    int skipped = first % LANES; /* whole lanes are computed, from the first one that is seen */
    first -= skipped;
    int shared = sizes->heads / sizes->kv_heads, count = at + 1 - first;
    size_t place = ((size_t)number * sizes->kv_heads + head / shared) * pass->capacity * size;
    compare(query, pass->keys + place, size, pass->capacity, first, count, scores);
    float sum = share_out(scores, skipped, count, 1 / sqrtf((float)size));
    gather(scores, pass->values + place + (size_t)first * size, size, count, 1 / sum,
           model->seen + ((size_t)row * sizes->heads + head) * size);
}

#endif
