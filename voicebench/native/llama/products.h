/*
 * Products of matrices of narrow integers with activations of narrow integers.
 *
 * Activations become signed bytes with one float scale per group of 32, so that a product is one of
 * integers and an outlier coarsens only its own group. (Grouped integers on both sides are the idea
 * of GGML's formats Q8_0 and Q4_1; layout and code are our own.)
 */

#ifndef VOICEBENCH_LLAMA_PRODUCTS_H
#define VOICEBENCH_LLAMA_PRODUCTS_H

#include "matrix.h"

/* Activations as integers (group, row, GROUP), with scale and scaled sum per (group, row): what is
 * multiplied by the same weights lies side by side. `rows` is how many the pass at hand has. */
typedef struct {
    int inputs, rows;
    int8_t *bytes;
    float *scale, *sum;
} Narrowed;

/* ------------------------------------------------------------------ activations */

static void narrow(const float *numbers, Narrowed *to, int row) {
    int groups = to->inputs / GROUP;
    for (int g = 0; g < groups; g++, numbers += GROUP) {
        size_t at = (size_t)g * to->rows + row;
        vec8 parts[GROUP / LANES], most = all8(0);
        for (int i = 0; i < GROUP / LANES; i++) {
            parts[i] = load8(numbers + i * LANES);
            most = larger8(size8(parts[i]), most);
        }
        float largest = largest8(most), inverse = largest > 0 ? 127 / largest : 0;
        ivec8 sum = {0};
        for (int i = 0; i < GROUP / LANES; i++) {
            ivec8 levels = nearest8(parts[i] * all8(inverse));
            sum += levels;
            uint8_t *bytes = (uint8_t *)to->bytes + at * GROUP + i * LANES;
            store_bytes(bytes, lower4(levels));
            store_bytes(bytes + 4, upper4(levels));
        }
        to->scale[at] = largest / 127;
        to->sum[at] = largest / 127 * sum8(__builtin_convertvector(sum, vec8));
    }
}

/* ------------------------------------------------------------------ products */

/* Ask for what is read soon: a core's own prefetching stops at each page, and is late here. */
static inline void look_ahead(const uint8_t *group, int bytes) {
    enum { AHEAD = 1280, LINE = 64 };
    for (int at = 0; at < bytes; at += LINE) __builtin_prefetch(group + AHEAD + at);
}

#if defined(__AVX512F__) && defined(__AVX512VNNI__)
#define HAVE_PAIRS 1 /* two blocks fit into a register */
#elif defined(HAVE_AVX2)

#if defined(__AVXVNNI__)
#define HAVE_DOT 1
#define DOT _mm256_dpbusd_avx_epi32
#endif

static inline __m256i four_inputs(const int8_t *bytes) {
    int32_t four;
    memcpy(&four, bytes, sizeof four);
    return _mm256_set1_epi32(four);
}

static inline __m256 eight_halves(const uint8_t *halves) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)halves));
}

/* The sums over a group for 8 outputs, of levels from 0 to 15. */
static inline __m256i int4_sums(const __m256i *levels, const int8_t *bytes) {
#if defined(HAVE_DOT)
    __m256i sums = _mm256_setzero_si256();
    for (int i = 0; i < 8; i++) sums = DOT(sums, levels[i], four_inputs(bytes + 4 * i));
    return sums;
#else
    /* 8 times 2 products of at most 15 * 127 fit into 16 bits, so they are widened once. */
    __m256i pairs = _mm256_maddubs_epi16(levels[0], four_inputs(bytes));
    for (int i = 1; i < 8; i++)
        pairs = _mm256_add_epi16(
            pairs, _mm256_maddubs_epi16(levels[i], four_inputs(bytes + 4 * i)));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#endif
}

/* The same of levels from -127 to 127: the sign moves from the input to the level. */
static inline __m256i int8_sums(const __m256i *levels, const int8_t *bytes) {
    __m256i sums = _mm256_setzero_si256();
    for (int i = 0; i < 8; i++) {
        __m256i inputs = four_inputs(bytes + 4 * i);
        __m256i sizes = _mm256_abs_epi8(inputs), turned = _mm256_sign_epi8(levels[i], inputs);
#if defined(HAVE_DOT)
        sums = DOT(sums, sizes, turned);
#else
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_maddubs_epi16(sizes, turned),
                                                        _mm256_set1_epi16(1)));
#endif
    }
    return sums;
}

static void block_int4(const uint8_t *group, const Narrowed *from, int first, int rows,
                       float *out) {
    int groups = from->inputs / GROUP;
    __m256 sums[MOST_ROWS];
    for (int row = 0; row < rows; row++) sums[row] = _mm256_setzero_ps();
    const __m256i low = _mm256_set1_epi8(15);
    for (int g = 0; g < groups; g++, group += INT4_GROUP) {
        look_ahead(group, INT4_GROUP);
        __m256 step = eight_halves(group), least = eight_halves(group + SCALES);
        __m256i levels[8];
        for (int i = 0; i < 4; i++) {
            __m256i both = _mm256_loadu_si256((const __m256i *)(group + 2 * SCALES) + i);
            levels[2 * i] = _mm256_and_si256(both, low);
            levels[2 * i + 1] = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
        }
        for (int row = 0; row < rows; row++) {
            size_t at = (size_t)g * from->rows + first + row;
            __m256 products = _mm256_cvtepi32_ps(int4_sums(levels, from->bytes + at * GROUP));
            __m256 scaled = _mm256_mul_ps(step, _mm256_broadcast_ss(from->scale + at));
            __m256 sum = _mm256_fmadd_ps(products, scaled, sums[row]);
            sums[row] = _mm256_fmadd_ps(least, _mm256_broadcast_ss(from->sum + at), sum);
        }
    }
    for (int row = 0; row < rows; row++) _mm256_storeu_ps(out + row * SIDE, sums[row]);
}

static void block_int8(const uint8_t *group, const Narrowed *from, int first, int rows,
                       float *out) {
    int groups = from->inputs / GROUP;
    __m256 sums[MOST_ROWS];
    for (int row = 0; row < rows; row++) sums[row] = _mm256_setzero_ps();
    for (int g = 0; g < groups; g++, group += INT8_GROUP) {
        look_ahead(group, INT8_GROUP);
        __m256 scale = eight_halves(group);
        __m256i levels[8];
        for (int i = 0; i < 8; i++)
            levels[i] = _mm256_loadu_si256((const __m256i *)(group + SCALES) + i);
        for (int row = 0; row < rows; row++) {
            size_t at = (size_t)g * from->rows + first + row;
            __m256 products = _mm256_cvtepi32_ps(int8_sums(levels, from->bytes + at * GROUP));
            __m256 scaled = _mm256_mul_ps(scale, _mm256_broadcast_ss(from->scale + at));
            sums[row] = _mm256_fmadd_ps(products, scaled, sums[row]);
        }
    }
    for (int row = 0; row < rows; row++) _mm256_storeu_ps(out + row * SIDE, sums[row]);
}

#else

static vec8 halves8(const uint8_t *bytes) {
    uint16_t halves[SIDE];
    vec8 numbers;
    memcpy(halves, bytes, sizeof halves);
    for (int side = 0; side < SIDE; side++) numbers[side] = from_half(halves[side]);
    return numbers;
}

static void block_int4(const uint8_t *group, const Narrowed *from, int first, int rows,
                       float *out) {
    int groups = from->inputs / GROUP;
    memset(out, 0, (size_t)rows * SIDE * sizeof *out);
    for (int g = 0; g < groups; g++, group += INT4_GROUP) {
        vec8 step = halves8(group), least = halves8(group + SCALES);
        for (int row = 0; row < rows; row++) {
            size_t at = (size_t)g * from->rows + first + row;
            const int8_t *bytes = from->bytes + at * GROUP;
            int32_t sums[SIDE] = {0};
            for (int i = 0; i < GROUP / 2; i++)
                for (int side = 0; side < SIDE; side++) {
                    uint8_t both = group[2 * SCALES + (i >> 2) * GROUP + side * 4 + (i & 3)];
                    int low = (i >> 2) * 8 + (i & 3);
                    sums[side] += (both & 15) * bytes[low] + (both >> 4) * bytes[low + 4];
                }
            for (int side = 0; side < SIDE; side++)
                out[row * SIDE + side] += (float)sums[side] * step[side] * from->scale[at] +
                                          least[side] * from->sum[at];
        }
    }
}

static void block_int8(const uint8_t *group, const Narrowed *from, int first, int rows,
                       float *out) {
    int groups = from->inputs / GROUP;
    memset(out, 0, (size_t)rows * SIDE * sizeof *out);
    for (int g = 0; g < groups; g++, group += INT8_GROUP) {
        vec8 scale = halves8(group);
        const int8_t *levels = (const int8_t *)group + SCALES;
        for (int row = 0; row < rows; row++) {
            size_t at = (size_t)g * from->rows + first + row;
            const int8_t *bytes = from->bytes + at * GROUP;
            int32_t sums[SIDE] = {0};
            for (int i = 0; i < GROUP; i++)
                for (int side = 0; side < SIDE; side++)
                    sums[side] += levels[(i >> 2) * GROUP + side * 4 + (i & 3)] * bytes[i];
            for (int side = 0; side < SIDE; side++)
                out[row * SIDE + side] += (float)sums[side] * scale[side] * from->scale[at];
        }
    }
}

#endif

#if defined(HAVE_PAIRS)

/* Two blocks side by side: the low half of a register is the first one's. */
static inline __m512i both_halves(const uint8_t *one, const uint8_t *other) {
    __m512i low = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)one));
    return _mm512_inserti64x4(low, _mm256_loadu_si256((const __m256i *)other), 1);
}

static inline __m512 sixteen_halves(const uint8_t *one, const uint8_t *other) {
    __m256i low = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)one));
    return _mm512_cvtph_ps(
        _mm256_inserti128_si256(low, _mm_loadu_si128((const __m128i *)other), 1));
}

typedef int32_t __attribute__((may_alias)) four_bytes;

/* Add the products of one group to the sums of each row. A level is unsigned: an INT8 one is raised
 * by 128, and that much times the inputs' sum is what `least` takes off again. */
static inline void add_group(const __m512i *levels, __m512 step, __m512 least, const Narrowed *from,
                             size_t at, int rows, __m512 *sums) {
    const four_bytes *bytes = (const four_bytes *)(from->bytes + at * GROUP);
    const float *scale = from->scale + at, *sum = from->sum + at;
    for (int row = 0; row < rows; row++, bytes += GROUP / 4) {
        __m512i one = _mm512_setzero_si512(), other = one; /* two chains: each waits for itself */
        for (int i = 0; i < 8; i += 2) {
            one = _mm512_dpbusd_epi32(one, levels[i], _mm512_set1_epi32(bytes[i]));
            other = _mm512_dpbusd_epi32(other, levels[i + 1], _mm512_set1_epi32(bytes[i + 1]));
        }
        __m512 products = _mm512_cvtepi32_ps(_mm512_add_epi32(one, other));
        __m512 scaled = _mm512_mul_ps(step, _mm512_set1_ps(scale[row]));
        __m512 added = _mm512_fmadd_ps(products, scaled, sums[row]);
        sums[row] = _mm512_fmadd_ps(least, _mm512_set1_ps(sum[row]), added);
    }
}

static void pair_of_blocks(const Matrix *matrix, const uint8_t *one, const Narrowed *from,
                           int first, int rows, float *out) {
    const uint8_t *other = one + matrix->block_bytes;
    const __m512i low = _mm512_set1_epi8(15), raise = _mm512_set1_epi8((char)128);
    int groups = from->inputs / GROUP;
    __m512 sums[MOST_ROWS];
    for (int row = 0; row < rows; row++) sums[row] = _mm512_setzero_ps();
    for (int g = 0; g < groups; g++) {
        __m512i levels[8];
        __m512 step = sixteen_halves(one, other), least;
        if (matrix->kind == INT4) {
            look_ahead(one, INT4_GROUP);
            look_ahead(other, INT4_GROUP);
            least = sixteen_halves(one + SCALES, other + SCALES);
            for (int i = 0; i < 4; i++) {
                int at = 2 * SCALES + i * GROUP;
                __m512i both = both_halves(one + at, other + at);
                levels[2 * i] = _mm512_and_si512(both, low);
                levels[2 * i + 1] = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
            }
            one += INT4_GROUP, other += INT4_GROUP;
        } else {
            look_ahead(one, INT8_GROUP);
            look_ahead(other, INT8_GROUP);
            least = _mm512_mul_ps(step, _mm512_set1_ps(-128));
            for (int i = 0; i < 8; i++) {
                int at = SCALES + i * GROUP;
                levels[i] = _mm512_xor_si512(both_halves(one + at, other + at), raise);
            }
            one += INT8_GROUP, other += INT8_GROUP;
        }
        add_group(levels, step, least, from, (size_t)g * from->rows + first, rows, sums);
    }
    for (int row = 0; row < rows; row++) _mm512_storeu_ps(out + row * PAIR, sums[row]);
}

#else

static void pair_of_blocks(const Matrix *matrix, const uint8_t *one, const Narrowed *from,
                           int first, int rows, float *out) {
    float half[MOST_ROWS * SIDE];
    for (int which = 0; which < 2; which++, one += matrix->block_bytes) {
        if (matrix->kind == INT4) block_int4(one, from, first, rows, half);
        else block_int8(one, from, first, rows, half);
        for (int row = 0; row < rows; row++)
            memcpy(out + row * PAIR + which * SIDE, half + row * SIDE, SIDE * sizeof *half);
    }
}

#endif

/* Compute the outputs of two neighbouring blocks, the first an even one, for some rows of
 * activations; out is (rows, PAIR). */
static void multiply_pair(const Matrix *matrix, int pair, const Narrowed *from, int first, int rows,
                          float *out) {
    const uint8_t *data = matrix->data + (size_t)pair * 2 * matrix->block_bytes;
    pair_of_blocks(matrix, data, from, first, rows, out);
    if (!matrix->bias) return;
    for (int row = 0; row < rows; row++)
        for (int side = 0; side < PAIR; side++)
            out[row * PAIR + side] += matrix->bias[pair * PAIR + side];
}

#endif
