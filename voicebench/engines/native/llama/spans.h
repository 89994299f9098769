/*
 * Attention's two products, of a few queries with a span of positions.
 *
 * Keys lie as (strip, head size, STRIP), so that the scores of one strip's positions are computed side
 * by side; values as (position, head size). The sums of a query are added in the same order however
 * many queries are computed together.
 */

#ifndef VOICEBENCH_LLAMA_SPANS_H
#define VOICEBENCH_LLAMA_SPANS_H

#include "wide.h"

enum {
    STRIP = 16,           /* positions */
    SPAN = 8 * STRIP,     /* positions whose scores are computed at once */
    PARTS = STRIP / WIDE, /* registers for a strip */
    TOGETHER = 6,          /* queries whose sums have room in registers, if each has PARTS of them */
};

/* Return one * other + sum. The compiler, which may add in any order, must not choose one for each
 * number of queries. */
static inline wide multiply_add(wide one, wide other, wide sum) {
#if defined(__AVX512F__)
    return (wide)_mm512_fmadd_ps((__m512)one, (__m512)other, (__m512)sum);
#elif defined(HAVE_AVX2)
    return (wide)_mm256_fmadd_ps((__m256)one, (__m256)other, (__m256)sum);
#else
    return one * other + sum;
#endif
}

/* Write to scores (query, SPAN) how well each query (query, head size) fits the positions of some
 * strips. `queries` and `strips` are known when this is compiled. */
static inline __attribute__((always_inline)) void fit_strips(
    const int queries, const int strips, const float *query, const float *keys, int size,
    float *scores) {
    wide sums[TOGETHER * PARTS];
    for (int i = 0; i < queries * strips * PARTS; i++) sums[i] = all(0);
    for (int i = 0; i < size; i++, keys += STRIP) {
        wide key[4 * PARTS];
        for (int strip = 0; strip < strips; strip++)
            for (int part = 0; part < PARTS; part++)
                key[strip * PARTS + part] = load(keys + (size_t)strip * size * STRIP + part * WIDE);
        for (int each = 0; each < queries; each++) {
            wide number = all(query[each * size + i]);
            for (int part = 0; part < strips * PARTS; part++)
                sums[each * strips * PARTS + part] =
                    multiply_add(number, key[part], sums[each * strips * PARTS + part]);
        }
    }
    for (int each = 0; each < queries; each++)
        for (int part = 0; part < strips * PARTS; part++)
            store(scores + each * SPAN + part * WIDE, sums[each * strips * PARTS + part]);
}

/* The fewer queries, the more strips at once: a sum waits for the one before it. */
static inline __attribute__((always_inline)) void fit_some(
    const int queries, const float *query, const float *keys, int size, int count, float *scores) {
    const int strips = queries > 3 ? 1 : queries > 1 ? 2 : 4;
    int strip = 0;
    for (; strip + strips <= count; strip += strips)
        fit_strips(queries, strips, query, keys + (size_t)strip * size * STRIP, size,
                   scores + strip * STRIP);
    for (; strip < count; strip++)
        fit_strips(queries, 1, query, keys + (size_t)strip * size * STRIP, size,
                   scores + strip * STRIP);
}

/* Add to seen (query, head size), times each query's factor, the values of some positions by their
 * shares (query, SPAN): `broad` registers of the head from `from` on. */
static inline __attribute__((always_inline)) void gather_part(
    const int queries, const int broad, const float *shares, const float *values, int size,
    int count, const float *factors, float *seen) {
    wide sums[2 * TOGETHER];
    for (int each = 0; each < queries; each++)
        for (int part = 0; part < broad; part++)
            sums[each * broad + part] = load(seen + each * size + part * WIDE) * all(factors[each]);
    for (int j = 0; j < count; j++, values += size) {
        wide value[8];
        for (int part = 0; part < broad; part++) value[part] = load(values + part * WIDE);
        for (int each = 0; each < queries; each++) {
            wide share = all(shares[each * SPAN + j]);
            for (int part = 0; part < broad; part++)
                sums[each * broad + part] =
                    multiply_add(share, value[part], sums[each * broad + part]);
        }
    }
    for (int each = 0; each < queries; each++)
        for (int part = 0; part < broad; part++)
            store(seen + each * size + part * WIDE, sums[each * broad + part]);
}

static inline __attribute__((always_inline)) void gather_some(
    const int queries, const float *shares, const float *values, int size, int count,
    const float *factors, float *seen) {
    const int broad = queries > 3 ? 2 : queries > 1 ? 4 : 8;
    int i = 0;
    for (; i + broad * WIDE <= size; i += broad * WIDE)
        gather_part(queries, broad, shares, values + i, size, count, factors, seen + i);
    for (; i + WIDE <= size; i += WIDE)
        gather_part(queries, 1, shares, values + i, size, count, factors, seen + i);
    for (; i < size; i++)
        for (int each = 0; each < queries; each++) {
            float sum = seen[each * size + i] * factors[each];
            for (int j = 0; j < count; j++)
                sum += shares[each * SPAN + j] * values[(size_t)j * size + i];
            seen[each * size + i] = sum;
        }
}

#define FOR_QUERIES(queries)                                                                      \
    static void fit_##queries(const float *query, const float *keys, int size, int count,         \
                              float *scores) {                                                    \
        fit_some(queries, query, keys, size, count, scores);                                      \
    }                                                                                             \
    static void gather_##queries(const float *shares, const float *values, int size, int count,   \
                                 const float *factors, float *seen) {                             \
        gather_some(queries, shares, values, size, count, factors, seen);                         \
    }
FOR_QUERIES(1)
FOR_QUERIES(2)
FOR_QUERIES(3)
FOR_QUERIES(4)
FOR_QUERIES(5)
FOR_QUERIES(6)

/* Write the scores of any number of queries for `count` strips. */
static void fit(int queries, const float *query, const float *keys, int size, int count,
                float *scores) {
    typedef void Fit(const float *, const float *, int, int, float *);
    static Fit *const fits[TOGETHER] = { fit_1, fit_2, fit_3, fit_4, fit_5, fit_6 };
    for (int first = 0; first < queries; first += TOGETHER) {
        int some = queries - first < TOGETHER ? queries - first : TOGETHER;
        fits[some - 1](query + (size_t)first * size, keys, size, count, scores + first * SPAN);
    }
}

/* Add what any number of queries see in `count` positions. */
static void gather(int queries, const float *shares, const float *values, int size, int count,
                   const float *factors, float *seen) {
    typedef void Gather(const float *, const float *, int, int, const float *, float *);
    static Gather *const gathers[TOGETHER] = { gather_1, gather_2, gather_3,
                                              gather_4, gather_5, gather_6 };
    for (int first = 0; first < queries; first += TOGETHER) {
        int some = queries - first < TOGETHER ? queries - first : TOGETHER;
        gathers[some - 1](shares + first * SPAN, values, size, count, factors + first,
                          seen + (size_t)first * size);
    }
}

#endif
