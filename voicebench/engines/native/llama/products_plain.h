/* Products of narrow integers in plain C, for processors without AVX2. */

#ifndef VOICEBENCH_PRODUCTS_PLAIN_H
#define VOICEBENCH_PRODUCTS_PLAIN_H

#include "narrowed.h"

static vec8 halves8(const uint8_t *bytes) {
    uint16_t halves[SIDE];
    vec8 numbers;
    memcpy(halves, bytes, sizeof halves);
    for (int side = 0; side < SIDE; side++) numbers[side] = from_half(halves[side]);
    return numbers;
}

static void block_int4(const uint8_t *group, const Narrowed *from, int rows,
                       float *out) {
    int groups = from->inputs / GROUP;
    memset(out, 0, (size_t)rows * SIDE * sizeof *out);
    for (int g = 0; g < groups; g++, group += INT4_GROUP) {
        vec8 step = halves8(group), least = halves8(group + SCALES);
        for (int row = 0; row < rows; row++) {
            size_t at = row * next_row(from) + g * next_group(from);
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

static void block_int8(const uint8_t *group, const Narrowed *from, int rows,
                       float *out) {
    int groups = from->inputs / GROUP;
    memset(out, 0, (size_t)rows * SIDE * sizeof *out);
    for (int g = 0; g < groups; g++, group += INT8_GROUP) {
        vec8 scale = halves8(group);
        const int8_t *levels = (const int8_t *)group + SCALES;
        for (int row = 0; row < rows; row++) {
            size_t at = row * next_row(from) + g * next_group(from);
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

/* Compute the outputs of two blocks for some rows; out is (rows, PANEL), of which PAIR are written. */
static void pair_of_blocks(const Matrix *matrix, const uint8_t *one, const Narrowed *from,
                           int rows, float *out) {
    float half[MOST_ROWS * SIDE];
    for (int which = 0; which < 2; which++, one += matrix->block_bytes) {
        if (matrix->kind == INT4) block_int4(one, from, rows, half);
        else block_int8(one, from, rows, half);
        for (int row = 0; row < rows; row++)
            memcpy(out + row * PANEL + which * SIDE, half + row * SIDE, SIDE * sizeof *half);
    }
}

#endif
