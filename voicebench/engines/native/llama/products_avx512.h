/* Products of narrow integers with AVX-512 and VNNI: two blocks fit into a register. */

#ifndef VOICEBENCH_PRODUCTS_AVX512_H
#define VOICEBENCH_PRODUCTS_AVX512_H

#include "narrowed.h"

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
                           int rows, float *out) {
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
        add_group(levels, step, least, from, g * next_group(from), rows, sums);
    }
    for (int row = 0; row < rows; row++) _mm512_storeu_ps(out + row * PANEL, sums[row]);
}

#endif
