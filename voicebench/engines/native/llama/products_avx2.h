/*
 * Products of narrow integers with AVX2.
 *
 * A few rows wait for their weights, which are unpacked as they are read. So are those of some rows:
 * a block is so small that it stays near while its next rows are multiplied. For many rows, the levels
 * of two blocks are unpacked a few groups at a time into memory that stays near, and each four inputs
 * that are read are multiplied by both blocks. The sums of a row are added in the same order in all
 * cases, so they do not depend on the other rows.
 */

#ifndef VOICEBENCH_PRODUCTS_AVX2_H
#define VOICEBENCH_PRODUCTS_AVX2_H

#include "narrowed.h"

enum { AT_A_TIME = 4 /* rows, whose sums have room in registers */ };

#if defined(__AVXVNNI__)
#define HAVE_DOT 1
#define DOT _mm256_dpbusd_avx_epi32
#endif

/* A sum that stays in its register, in this order. GCC would add in others, and run out of
 * registers. */
#define STAY(sum) __asm__("" : "+x"(sum))

static inline __m256i four_inputs(const int8_t *bytes) {
    int32_t four;
    memcpy(&four, bytes, sizeof four);
    return _mm256_set1_epi32(four);
}

static inline __m256 eight_halves(const uint8_t *halves) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)halves));
}

/* Unpack the levels of one group of a block, each `apart` registers after the one before. */
static inline __attribute__((always_inline)) void levels_of(const int kind, const uint8_t *group,
                                                           __m256i *levels, int apart) {
    const __m256i *packed = (const __m256i *)(group + (kind == INT4 ? 2 : 1) * SCALES);
    if (kind == INT8) {
        for (int i = 0; i < 8; i++) levels[i * apart] = _mm256_loadu_si256(packed + i);
        return;
    }
    const __m256i low = _mm256_set1_epi8(15);
    for (int i = 0; i < 4; i++) {
        __m256i both = _mm256_loadu_si256(packed + i);
        levels[2 * i * apart] = _mm256_and_si256(both, low);
        levels[(2 * i + 1) * apart] = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
    }
}

/* Add the products of four inputs of 8 outputs to sums over a group. INT4 without VNNI has sums of 16
 * bits: 8 times 2 products of at most 15 * 127 fit. In INT8 the sign moves from the input to the
 * level; `sizes` are the inputs without it. */
static inline __m256i add_four(const int kind, __m256i sums, __m256i levels, __m256i inputs,
                               __m256i sizes) {
    if (kind == INT8) levels = _mm256_sign_epi8(levels, inputs);
#if defined(HAVE_DOT)
    return kind == INT4 ? DOT(sums, levels, inputs) : DOT(sums, sizes, levels);
#else
    if (kind == INT4) return _mm256_add_epi16(sums, _mm256_maddubs_epi16(levels, inputs));
    return _mm256_add_epi32(
        sums, _mm256_madd_epi16(_mm256_maddubs_epi16(sizes, levels), _mm256_set1_epi16(1)));
#endif
}

/* Return what a group adds to the sums of 8 outputs. */
static inline __m256 add_group(const int kind, __m256i group, __m256 step, __m256 least,
                               __m256 scale, __m256 sum, __m256 sums) {
#if !defined(HAVE_DOT)
    if (kind == INT4) group = _mm256_madd_epi16(group, _mm256_set1_epi16(1));
#endif
    sums = _mm256_fmadd_ps(_mm256_cvtepi32_ps(group), _mm256_mul_ps(step, scale), sums);
    return kind == INT4 ? _mm256_fmadd_ps(least, sum, sums) : sums;
}

/* ------------------------------------------------------------------ a few rows */

/* Multiply a block by the first `rows` rows. `kind` and `rows` are known when this is compiled. */
static inline __attribute__((always_inline)) void few_rows(
    const int kind, const int rows, const uint8_t *group, const Narrowed *from, float *out) {
    const int group_bytes = kind == INT4 ? INT4_GROUP : INT8_GROUP;
    int groups = from->inputs / GROUP, line = from->inputs;
    const int8_t *bytes = from->bytes;
    const float *scale = from->scale, *sum = from->sum;
    __m256 sums[AT_A_TIME];
    for (int row = 0; row < rows; row++) sums[row] = _mm256_setzero_ps();
    for (int g = 0; g < groups; g++, group += group_bytes) {
        look_ahead(group, group_bytes);
        __m256i levels[8];
        levels_of(kind, group, levels, 1);
        for (int row = 0; row < rows; row++) {
            __m256i products = _mm256_setzero_si256();
            for (int i = 0; i < 8; i++) {
                __m256i inputs = four_inputs(bytes + row * line + 4 * i);
                products = add_four(kind, products, levels[i], inputs, _mm256_abs_epi8(inputs));
            }
            sums[row] = add_group(kind, products, eight_halves(group), eight_halves(group + SCALES),
                                  _mm256_broadcast_ss(scale + row * groups), _mm256_broadcast_ss(sum + row * groups),
                                  sums[row]);
        }
        bytes += GROUP;
        scale++;
        sum++;
    }
    for (int row = 0; row < rows; row++) _mm256_storeu_ps(out + row * PANEL, sums[row]);
}

/* ------------------------------------------------------------------ some rows */

enum { SOME = 2 * AT_A_TIME /* rows, whose sums of one block have room in registers */ };

/* Multiply a block by some rows from `first` on, each level as it is read. `kind` and `rows` are known
 * when this is compiled. */
static inline __attribute__((always_inline)) void some_rows(
    const int kind, const int rows, const uint8_t *group, const Narrowed *from, size_t first,
    float *out) {
    const int group_bytes = kind == INT4 ? INT4_GROUP : INT8_GROUP;
    size_t groups = from->inputs / GROUP, line = from->inputs;
    const int8_t *bytes = from->bytes + first * line;
    const float *scale = from->scale + first * groups, *sum = from->sum + first * groups;
    const __m256i low = _mm256_set1_epi8(15);
    for (int row = 0; row < rows; row++) _mm256_storeu_ps(out + row * PANEL, _mm256_setzero_ps());
    for (size_t g = 0; g < groups; g++, group += group_bytes) {
        look_ahead(group, group_bytes);
        const __m256i *packed = (const __m256i *)(group + (kind == INT4 ? 2 : 1) * SCALES);
        __m256i products[SOME];
        for (int row = 0; row < rows; row++) products[row] = _mm256_setzero_si256();
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            __m256i levels = _mm256_loadu_si256(packed + (kind == INT4 ? i / 2 : i));
            if (kind == INT4 && i % 2) levels = _mm256_srli_epi16(levels, 4);
            if (kind == INT4) levels = _mm256_and_si256(levels, low);
            for (int row = 0; row < rows; row++) {
                __m256i inputs = four_inputs(bytes + row * line + 4 * i);
                __m256i sizes = kind == INT8 ? _mm256_abs_epi8(inputs) : inputs;
                products[row] = add_four(kind, products[row], levels, inputs, sizes);
                STAY(products[row]);
            }
        }
        __m256 step = eight_halves(group), least = step;
        if (kind == INT4) least = eight_halves(group + SCALES);
        for (int row = 0; row < rows; row++) {
            float *place = out + row * PANEL;
            _mm256_storeu_ps(place, add_group(kind, products[row], step, least,
                                              _mm256_broadcast_ss(scale + row * groups),
                                              _mm256_broadcast_ss(sum + row * groups),
                                              _mm256_loadu_ps(place)));
        }
        __asm__ volatile("" ::: "memory"); /* keep the sums there: the registers are for products */
        bytes += GROUP;
        scale++;
        sum++;
    }
}

/* ------------------------------------------------------------------ many rows */

/* One group of two blocks. */
typedef struct {
    __m256i levels[8][2];
    __m256 step[2], least[2];
} Group;

static inline void unpack_group(const int kind, const uint8_t *group, int which, Group *to) {
    levels_of(kind, group, &to->levels[0][which], 2);
    to->step[which] = eight_halves(group);
    if (kind == INT4) to->least[which] = eight_halves(group + SCALES);
}

/* Multiply some rows that lie side by side by some groups, and add to out. `kind` and `rows` are
 * known when this is compiled, so that the sums over a group are in registers. */
static inline __attribute__((always_inline)) void groups_of_rows(
    const int kind, const int rows, const Group *group, int count, const Narrowed *from, size_t at,
    float *out) {
    size_t groups = from->inputs / GROUP, line = from->inputs;
    const int8_t *bytes = from->bytes + at * GROUP;
    const float *scale = from->scale + at, *sum = from->sum + at;
    for (const Group *end = group + count; group < end; group++) {
        __m256i products[AT_A_TIME][2];
        for (int row = 0; row < rows; row++)
            products[row][0] = products[row][1] = _mm256_setzero_si256();
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            __m256i one = group->levels[i][0], other = group->levels[i][1];
            for (int row = 0; row < rows; row++) {
                __m256i inputs = four_inputs(bytes + row * line + 4 * i);
                __m256i sizes = kind == INT8 ? _mm256_abs_epi8(inputs) : inputs;
                products[row][0] = add_four(kind, products[row][0], one, inputs, sizes);
                STAY(products[row][0]);
                products[row][1] = add_four(kind, products[row][1], other, inputs, sizes);
                STAY(products[row][1]);
            }
        }
        for (int row = 0; row < rows; row++) {
            __m256 scales = _mm256_broadcast_ss(scale + row * groups), sums = _mm256_broadcast_ss(sum + row * groups);
            for (int which = 0; which < 2; which++) {
                float *place = out + row * PANEL + which * SIDE;
                _mm256_storeu_ps(place, add_group(kind, products[row][which], group->step[which],
                                                  group->least[which], scales, sums,
                                                  _mm256_loadu_ps(place)));
            }
        }
        __asm__ volatile("" ::: "memory"); /* keep the sums there: the registers are for products */
        bytes += GROUP;
        scale++;
        sum++;
    }
}

/* ------------------------------------------------------------------ by kind and rows */

#define BY_ROWS(kind, rows)                                                                       \
    static void few_##kind##_##rows(const uint8_t *group, const Narrowed *from, float *out) {     \
        few_rows(kind, rows, group, from, out);                                                   \
    }                                                                                             \
    static void many_##kind##_##rows(const Group *group, int count, const Narrowed *from,         \
                                     size_t at, float *out) {                                     \
        groups_of_rows(kind, rows, group, count, from, at, out);                                  \
    }
#define SOME_ROWS(kind, rows)                                                                     \
    static void some_##kind##_##rows(const uint8_t *group, const Narrowed *from, size_t first,    \
                                     float *out) {                                                \
        some_rows(kind, rows, group, from, first, out);                                           \
    }
BY_ROWS(INT4, 1) BY_ROWS(INT4, 2) BY_ROWS(INT4, 3) BY_ROWS(INT4, 4)
BY_ROWS(INT8, 1) BY_ROWS(INT8, 2) BY_ROWS(INT8, 3) BY_ROWS(INT8, 4)
SOME_ROWS(INT4, 4) SOME_ROWS(INT4, 5) SOME_ROWS(INT4, 6) SOME_ROWS(INT4, 7) SOME_ROWS(INT4, 8)
SOME_ROWS(INT8, 4) SOME_ROWS(INT8, 5) SOME_ROWS(INT8, 6) SOME_ROWS(INT8, 7) SOME_ROWS(INT8, 8)

typedef void Few(const uint8_t *, const Narrowed *, float *);
typedef void Some(const uint8_t *, const Narrowed *, size_t, float *);
typedef void Many(const Group *, int, const Narrowed *, size_t, float *);
static Few *const few_of_kind[2][AT_A_TIME] = {
    { few_INT4_1, few_INT4_2, few_INT4_3, few_INT4_4 },
    { few_INT8_1, few_INT8_2, few_INT8_3, few_INT8_4 },
};
static Some *const some_of_kind[2][SOME - AT_A_TIME + 1] = {
    { some_INT4_4, some_INT4_5, some_INT4_6, some_INT4_7, some_INT4_8 },
    { some_INT8_4, some_INT8_5, some_INT8_6, some_INT8_7, some_INT8_8 },
};
static Many *const many_of_kind[2][AT_A_TIME] = {
    { many_INT4_1, many_INT4_2, many_INT4_3, many_INT4_4 },
    { many_INT8_1, many_INT8_2, many_INT8_3, many_INT8_4 },
};

/* Compute the outputs of two blocks for the first `rows` rows; out is (rows, PANEL), of which PAIR
 * are written. */
static void pair_of_blocks(const Matrix *matrix, const uint8_t *one, const Narrowed *from, int rows,
                           float *out) {
    enum { AT_ONCE = 6, FEW_ENOUGH = 2 * SOME };
    const uint8_t *other = one + matrix->block_bytes, *end = other;
    int is_int8 = matrix->kind == INT8, groups = from->inputs / GROUP;
    size_t group_bytes = matrix->block_bytes / groups;
    if (rows <= AT_A_TIME) {
        few_of_kind[is_int8][rows - 1](one, from, out);
        few_of_kind[is_int8][rows - 1](other, from, out + SIDE);
        return;
    }
    if (rows <= FEW_ENOUGH) {
        for (int first = 0, these; first < rows; first += these) {
            these = rows > SOME && first == 0 ? (rows + 1) / 2 : rows - first;
            Some *some = some_of_kind[is_int8][these - AT_A_TIME];
            some(one, from, first, out + first * PANEL);
            some(other, from, first, out + first * PANEL + SIDE);
        }
        return;
    }
    Group near[AT_ONCE];
    for (int row = 0; row < rows; row++) memset(out + row * PANEL, 0, PAIR * sizeof *out);
    for (int begin = 0; begin < groups; begin += AT_ONCE) {
        int count = groups - begin < AT_ONCE ? groups - begin : AT_ONCE;
        for (int g = 0; g < count; g++, one += group_bytes, other += group_bytes) {
            /* Behind the end of a block is the other one: the next is a block further. */
            size_t further = one + AHEAD < end ? 0 : matrix->block_bytes;
            look_ahead_from_afar(one + further, (int)group_bytes);
            look_ahead_from_afar(other + further, (int)group_bytes);
            unpack_group(matrix->kind, one, 0, near + g);
            unpack_group(matrix->kind, other, 1, near + g);
        }
        for (int row = 0; row < rows; row += AT_A_TIME) {
            int together = rows - row < AT_A_TIME ? rows - row : AT_A_TIME;
            many_of_kind[is_int8][together - 1](near, count, from, (size_t)row * groups + begin,
                                                out + row * PANEL);
        }
    }
}

#endif
