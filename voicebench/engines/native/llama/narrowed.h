/*
 * Activations as integers, as their products with integer weights want them.
 *
 * They become signed bytes with one float scale per group of 32, so that a product is one of
 * integers and an outlier coarsens only its own group. (Grouped integers on both sides are the idea
 * of GGML's formats Q8_0 and Q4_1; layout and code are our own.)
 */

#ifndef VOICEBENCH_NARROWED_H
#define VOICEBENCH_NARROWED_H

#include "matrix.h"
#include "tiles.h"

#if defined(__AVX512F__) && defined(__AVX512VNNI__)
#define HAVE_PAIRS 1 /* two blocks fit into a register */
#endif

/* Integers as (row, input) with scale and scaled sum per (row, group); with AVX-512 as (group, row,
 * GROUP), so that what is multiplied by the same weights lies side by side. For the rows of longer
 * prompts, where the processor has tiles, bfloat16 (row, input). `rows` is how many rows the pass at
 * hand has; those from `tiled` on are multiplied by tiles. */
typedef struct {
    int inputs, rows, tiled;
    int8_t *bytes;
    float *scale, *sum;
    uint16_t *bfloats;
} Narrowed;

/* Return how many groups lie between two groups of a row, and between a group of two rows. */
static inline size_t next_group(const Narrowed *narrowed) {
#if defined(HAVE_PAIRS)
    return narrowed->rows;
#else
    (void)narrowed;
    return 1;
#endif
}

static inline size_t next_row(const Narrowed *narrowed) {
#if defined(HAVE_PAIRS)
    (void)narrowed;
    return 1;
#else
    return narrowed->inputs / GROUP;
#endif
}

/* Whether a prompt is multiplied by tiles. Unpacking costs the same for any number of rows: it pays
 * from some on. */
static int goes_by_tiles(int prompt) {
    enum { FEWEST = 13 };
    return prompt >= FEWEST && has_tiles();
}

/* Write the levels of a group as bytes; return their sum. */
static inline int store_levels(const ivec8 *levels, int8_t *bytes) {
#if defined(HAVE_AVX2)
    __m256i halves = _mm256_packs_epi32((__m256i)levels[0], (__m256i)levels[1]);
    __m256i others = _mm256_packs_epi32((__m256i)levels[2], (__m256i)levels[3]);
    __m256i mixed = _mm256_packs_epi16(halves, others); /* four of each quarter */
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7), ones = _mm256_set1_epi16(1);
    _mm256_storeu_si256((__m256i *)bytes, _mm256_permutevar8x32_epi32(mixed, order));
    __m256i sums = _mm256_madd_epi16(_mm256_add_epi16(halves, others), ones);
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
#else
    int sum = 0;
    for (int i = 0; i < GROUP; i++) {
        bytes[i] = (int8_t)levels[i / LANES][i % LANES];
        sum += bytes[i];
    }
    return sum;
#endif
}

static void narrow_to_integers(const float *numbers, Narrowed *to, int row) {
    int groups = to->inputs / GROUP;
    size_t at = row * next_row(to);
    for (int g = 0; g < groups; g++, numbers += GROUP, at += next_group(to)) {
        vec8 parts[GROUP / LANES], most = all8(0);
        for (int i = 0; i < GROUP / LANES; i++) {
            parts[i] = load8(numbers + i * LANES);
            most = larger8(size8(parts[i]), most);
        }
        float largest = largest8(most), inverse = largest > 0 ? 127 / largest : 0;
        ivec8 levels[GROUP / LANES];
        for (int i = 0; i < GROUP / LANES; i++) levels[i] = nearest8(parts[i] * all8(inverse));
        to->scale[at] = largest / 127;
        to->sum[at] = largest / 127 * (float)store_levels(levels, to->bytes + at * GROUP);
    }
}

/* Bring a row into the form that its product wants. */
static void narrow(const float *numbers, Narrowed *to, int row) {
    if (row < to->tiled) {
        narrow_to_integers(numbers, to, row);
        return;
    }
    uint16_t *bfloats = to->bfloats + (size_t)row * to->inputs;
    for (int i = 0; i < to->inputs; i++) bfloats[i] = to_bfloat(numbers[i]);
}

/* Ask for what is read soon: a core's own prefetching stops at each page, and is late here. What comes
 * from so far away comes to the second cache, which has room for all that is on its way. */
enum { FAR = 8192, AHEAD = 3072, LINE = 64 };

static inline void look_ahead(const uint8_t *group, int bytes) {
    for (int at = 0; at < bytes; at += LINE) __builtin_prefetch(group + FAR + at, 0, 2);
}

/* The same where little is read at a time, and much of what is near is used again. */
static inline void look_ahead_once(const uint8_t *group, int bytes) {
    for (int at = 0; at < bytes; at += LINE) __builtin_prefetch(group + AHEAD + at);
}

static inline void look_ahead_from_afar(const uint8_t *group, int bytes) {
    for (int at = 0; at < bytes; at += LINE) __builtin_prefetch(group + AHEAD + at, 0, 2);
}

#endif
