/* Products of many rows by tiles (AMX): the weights become bfloat16 as they are read. */

#ifndef VOICEBENCH_PRODUCTS_TILES_H
#define VOICEBENCH_PRODUCTS_TILES_H

#include "products_avx512.h"

/* Write 16 outputs of two inputs each, as bfloat16 side by side. */
static inline void put_inputs(uint16_t *to, __m512 one, __m512 other) {
    __m512i ends = _mm512_set1_epi32(0x8000); /* rounds to nearest */
    __m512i low = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(one), ends), 16);
    __m512i high = _mm512_add_epi32(_mm512_castps_si512(other), ends);
    enum { upper_half_of_high_or_low = 0xea }; /* (high & mask) | low */
    __m512i mask = _mm512_set1_epi32((int)0xffff0000);
    _mm512_storeu_si512(to, _mm512_ternarylogic_epi32(high, mask, low, upper_half_of_high_or_low));
}

/* Return 128 + a level that has bits 16 … 19: its bits are the upper ones of the float's own. */
static inline __m512 from_level(__m512i bits) {
    enum { masked_or_other = 0xea };
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(
        bits, _mm512_set1_epi32(0xf0000), _mm512_set1_epi32(0x43000000), masked_or_other));
}

/* The weights of one group of 16 outputs, as tiles want them. */
static inline void unpack_int4(const uint8_t *one, const uint8_t *other, uint16_t *to) {
    __m512 step = sixteen_halves(one, other), least = sixteen_halves(one + SCALES, other + SCALES);
    least = _mm512_fnmadd_ps(step, _mm512_set1_ps(128), least);
    for (int i = 0; i < 4; i++, to += 4 * 2 * EDGE) {
        int at = 2 * SCALES + i * GROUP;
        __m512i both = both_halves(one + at, other + at);
        __m512 low[4] = {
            from_level(_mm512_slli_epi32(both, 16)), from_level(_mm512_slli_epi32(both, 8)),
            from_level(both), from_level(_mm512_srli_epi32(both, 8)),
        };
        __m512 high[4] = {
            from_level(_mm512_slli_epi32(both, 12)), from_level(_mm512_slli_epi32(both, 4)),
            from_level(_mm512_srli_epi32(both, 4)), from_level(_mm512_srli_epi32(both, 12)),
        };
        for (int pair = 0; pair < 2; pair++) {
            put_inputs(to + pair * 2 * EDGE, _mm512_fmadd_ps(step, low[2 * pair], least),
                       _mm512_fmadd_ps(step, low[2 * pair + 1], least));
            put_inputs(to + (2 + pair) * 2 * EDGE, _mm512_fmadd_ps(step, high[2 * pair], least),
                       _mm512_fmadd_ps(step, high[2 * pair + 1], least));
        }
    }
}

static inline void unpack_int8(const uint8_t *one, const uint8_t *other, uint16_t *to) {
    __m512 scale = sixteen_halves(one, other);
    for (int i = 0; i < 8; i++, to += 2 * 2 * EDGE) {
        int at = SCALES + i * GROUP;
        __m512i both = both_halves(one + at, other + at);
        __m512 numbers[4];
        for (int input = 0; input < 4; input++) {
            __m512i level = _mm512_srai_epi32(_mm512_sll_epi32(both, _mm_cvtsi32_si128(24 - 8 * input)), 24);
            numbers[input] = _mm512_mul_ps(scale, _mm512_cvtepi32_ps(level));
        }
        put_inputs(to, numbers[0], numbers[1]);
        put_inputs(to + 2 * EDGE, numbers[2], numbers[3]);
    }
}

/* How `rows` rows are cut: into as few parts as there may be, all of one tiling. */
static Tiling tiling_of_rows(int rows) {
    int parts = (rows + 2 * EDGE - 1) / (2 * EDGE);
    return tiling_for((rows + parts - 1) / parts);
}

/* Multiply by tiles: some groups of the panel's weights are unpacked at a time, so that they are
 * still near when all rows have been multiplied by them. */
static void panel_by_tiles(const Matrix *matrix, const uint8_t *data, const Narrowed *from,
                           int first, int rows, float *out) {
    enum { AT_ONCE = 4 };
    uint16_t room[AT_ONCE * 2 * TILE] __attribute__((aligned(64)));
    const Tiling tiling = tiling_of_rows(rows);
    int groups = from->inputs / GROUP, each = tiling.upper + tiling.lower;
    size_t group_bytes = matrix->kind == INT4 ? INT4_GROUP : INT8_GROUP;
    for (int begin = 0; begin < groups; begin += AT_ONCE) {
        int count = groups - begin < AT_ONCE ? groups - begin : AT_ONCE;
        for (int half = 0; half < 2; half++) {
            const uint8_t *one = data + half * 2 * matrix->block_bytes + begin * group_bytes;
            const uint8_t *other = one + matrix->block_bytes;
            for (int g = 0; g < count; g++, one += group_bytes, other += group_bytes) {
                uint16_t *to = room + (2 * g + half) * TILE;
                look_ahead_once(one, (int)group_bytes);
                look_ahead_once(other, (int)group_bytes);
                if (matrix->kind == INT4) unpack_int4(one, other, to);
                else unpack_int8(one, other, to);
            }
        }
        const uint16_t *numbers = from->bfloats + (size_t)first * from->inputs + begin * GROUP;
        for (int row = 0; row < rows; row += each)
            multiply_tiles(tiling, numbers + (size_t)row * from->inputs, from->inputs, 1, 0, count,
                           room, begin > 0, out + row * PANEL);
    }
}

#endif
