/*
 * Convolutions over time, for rows (time, channels), as products of matrices.
 *
 * With the time first, a convolution is one product for each tap of its kernel, over the same rows
 * shifted by the tap's place: nothing is copied or reordered, whatever the number of rows is. The
 * weights are reordered once, into panels of outputs that lie side by side.
 *
 *   FLOATS   float32; a tile of rows and outputs is summed up in registers.
 *   BFLOATS  bfloat16 on both sides, sums in float32: where the processor multiplies tiles (AMX).
 */

#ifndef VOICEBENCH_CONVOLUTIONS_H
#define VOICEBENCH_CONVOLUTIONS_H

#include "crew.h"
#include "memory.h"
#include "numbers.h"
#include "tiles.h"
#include "wide.h"

enum { FLOATS, BFLOATS };
enum {
    PANEL = 2 * WIDE, /* outputs */
#if defined(__AVX512F__)
    TILE_ROWS = 12, /* as many as 32 registers hold sums for */
#else
    TILE_ROWS = 6,
#endif
    AHEAD = 128, /* inputs; weights are asked for so long before they are needed: few rows take less
                    time than the next panel needs to come from a farther cache */
};

typedef struct {
    int kind, taps, dilation, inputs, outputs;
    float *floats;     /* (panel, tap, input, PANEL) */
    uint16_t *bfloats; /* (panel of 32, tap) of what tiles.h wants */
    float *bias;       /* padded to whole panels */
} Weights;

static int padded_outputs(const Weights *weights) {
    enum { WIDTH = 2 * EDGE }; /* whole panels of both kinds */
    return (weights->outputs + WIDTH - 1) / WIDTH * WIDTH;
}

/* Where a product goes: `to` (row, output) becomes the product, plus the bias, plus `add` if there
 * is one, plus what it was if it is to go `onto`. Strides are in floats. */
typedef struct {
    float *to;
    int stride;
    const float *add;
    int add_stride;
    int onto;
} Goal;

static void put_row(const Goal *goal, int row, int first, int count, const float *sums) {
    float *to = goal->to + (size_t)row * goal->stride + first;
    const float *add = goal->add ? goal->add + (size_t)row * goal->add_stride + first : NULL;
    int i = 0;
    for (; i + WIDE <= count; i += WIDE) {
        wide sum = load(sums + i);
        if (add) sum += load(add + i);
        if (goal->onto) sum += load(to + i);
        store(to + i, sum);
    }
    for (; i < count; i++) to[i] = sums[i] + (add ? add[i] : 0) + (goal->onto ? to[i] : 0);
}

/* ------------------------------------------------------------------ float32 */

/* Compute `rows` (known when this is compiled) rows of one panel. */
static inline __attribute__((always_inline)) void float_tile(
    const int rows, const Weights *weights, int panel, const float *from, int stride, int first,
    const Goal *goal) {
    size_t panel_size = (size_t)weights->taps * weights->inputs * PANEL;
    const float *numbers = weights->floats + panel * panel_size;
    const float *bias = weights->bias + panel * PANEL;
    wide left[TILE_ROWS], right[TILE_ROWS];
#pragma GCC unroll 12
    for (int row = 0; row < rows; row++) {
        left[row] = load(bias);
        right[row] = load(bias + WIDE);
    }
    for (int tap = 0; tap < weights->taps; tap++) {
        const float *row_of = from + (size_t)(first + tap * weights->dilation) * stride;
        for (int input = 0; input < weights->inputs; input++, numbers += PANEL) {
            wide one = load(numbers), other = load(numbers + WIDE);
            __builtin_prefetch(numbers + AHEAD * PANEL);
#pragma GCC unroll 12
            for (int row = 0; row < rows; row++) {
                wide number = all(row_of[(size_t)row * stride + input]);
                left[row] += number * one;
                right[row] += number * other;
            }
        }
    }
    /* Apart from what follows: Clang keeps sums in registers only where it unrolls every loop. */
    float sums[TILE_ROWS * PANEL];
#pragma GCC unroll 12
    for (int row = 0; row < rows; row++) {
        store(sums + row * PANEL, left[row]);
        store(sums + row * PANEL + WIDE, right[row]);
    }
    int here = weights->outputs - panel * PANEL;
    for (int row = 0; row < rows; row++)
        put_row(goal, first + row, panel * PANEL, here < PANEL ? here : PANEL, sums + row * PANEL);
}

#define FLOAT_TILE(rows)                                                                          \
    static void float_tile_##rows(const Weights *weights, int panel, const float *from,           \
                                  int stride, int first, const Goal *goal) {                      \
        float_tile(rows, weights, panel, from, stride, first, goal);                              \
    }
FLOAT_TILE(1)
FLOAT_TILE(2)
FLOAT_TILE(3)
FLOAT_TILE(4)
FLOAT_TILE(5)
FLOAT_TILE(6)
#if defined(__AVX512F__)
FLOAT_TILE(7)
FLOAT_TILE(8)
FLOAT_TILE(9)
FLOAT_TILE(10)
FLOAT_TILE(11)
FLOAT_TILE(12)
#endif

typedef void FloatTile(const Weights *weights, int panel, const float *from, int stride, int first,
                       const Goal *goal);

static FloatTile *const float_tiles[TILE_ROWS] = {
    float_tile_1, float_tile_2, float_tile_3, float_tile_4, float_tile_5, float_tile_6,
#if defined(__AVX512F__)
    float_tile_7, float_tile_8, float_tile_9, float_tile_10, float_tile_11, float_tile_12,
#endif
};

/* Compute rows first … first + count of one panel, in as few tiles as hold them, all of about the same
 * size: a tile of one row takes as long as one of three, because each sum waits for the one before. */
static void float_rows(const Weights *weights, int panel, const float *from, int stride, int first,
                       int count, const Goal *goal) {
    for (int tiles = (count + TILE_ROWS - 1) / TILE_ROWS; tiles > 0; tiles--) {
        int rows = (count + tiles - 1) / tiles;
        float_tiles[rows - 1](weights, panel, from, stride, first, goal);
        first += rows;
        count -= rows;
    }
}

/* ------------------------------------------------------------------ bfloat16 */

#if defined(HAVE_TILES)

static void put_tiles(const Goal *goal, int first, int rows, int column, int columns,
                      const float *sums, const float *bias) {
    for (int row = 0; row < rows; row++) {
        float line[2 * EDGE];
        for (int i = 0; i < 2 * EDGE; i += WIDE)
            store(line + i, load(sums + row * 2 * EDGE + i) + load(bias + i));
        put_row(goal, first + row, column, columns, line);
    }
}

/* Compute up to 32 rows of 32 outputs. Rows that a tile has beyond `rows` are read, and their sums
 * left: the memory behind the last row is there. */
static void bfloat_tiles(Tiling tiling, const Weights *weights, int panel, const uint16_t *from,
                         int stride, int first, int rows, const Goal *goal) {
    int steps = weights->inputs / STEP, column = panel * 2 * EDGE;
    int left = weights->outputs - column;
    float sums[2 * EDGE * 2 * EDGE] __attribute__((aligned(64)));
    multiply_tiles(tiling, from + (size_t)first * stride, stride, weights->taps,
                   (size_t)weights->dilation * stride, steps,
                   weights->bfloats + (size_t)panel * weights->taps * steps * 2 * TILE, 0, sums);
    put_tiles(goal, first, rows, column, left < 2 * EDGE ? left : 2 * EDGE, sums,
              weights->bias + column);
}

static void bfloat_rows(Tiling tiling, const Weights *weights, int panel, const uint16_t *from,
                        int stride, int first, int count, const Goal *goal) {
    const int most = tiling.upper + tiling.lower;
    for (int done = 0; done < count; done += most) {
        int rows = count - done < most ? count - done : most;
        bfloat_tiles(tiling, weights, panel, from, stride, first + done, rows, goal);
    }
}

static void pack_bfloats(Weights *weights, const float *numbers) {
    int panels = padded_outputs(weights) / (2 * EDGE), steps = weights->inputs / STEP;
    uint16_t *to = weights->bfloats;
    for (int panel = 0; panel < panels; panel++)
        for (int tap = 0; tap < weights->taps; tap++)
            for (int step = 0; step < steps; step++)
                for (int half = 0; half < 2; half++)
                    for (int pair = 0; pair < STEP / 2; pair++)
                        for (int side = 0; side < EDGE; side++)
                            for (int i = 0; i < 2; i++) {
                                int output = panel * 2 * EDGE + half * EDGE + side;
                                int input = step * STEP + pair * 2 + i;
                                size_t at = (size_t)tap * weights->inputs + input;
                                *to++ = output < weights->outputs
                                            ? to_bfloat(numbers[at * weights->outputs + output])
                                            : 0;
                            }
}

#endif

/* ------------------------------------------------------------------ both */

/* Take the weights (tap, input, output) and the bias (or NULL) of a convolution. BFLOATS are taken
 * where the sizes allow. Return 0 if there is no memory. */
static int take_weights(Weights *weights, int kind, int taps, int dilation, int inputs,
                        int outputs, const float *numbers, const float *bias) {
    *weights = (Weights){ kind, taps, dilation, inputs, outputs, NULL, NULL, NULL };
    int padded = padded_outputs(weights);
    size_t count = (size_t)taps * inputs * padded;
    weights->bias = calloc(padded, sizeof(float));
    if (!weights->bias) return 0;
    if (bias) memcpy(weights->bias, bias, outputs * sizeof(float));
#if defined(HAVE_TILES)
    if (kind == BFLOATS && inputs % STEP == 0 && has_tiles()) {
        weights->bfloats = aligned(count * sizeof(uint16_t));
        if (weights->bfloats) pack_bfloats(weights, numbers);
        return weights->bfloats != NULL;
    }
#endif
    weights->kind = FLOATS;
    weights->floats = aligned(count * sizeof(float));
    if (!weights->floats) return 0;
    float *to = weights->floats;
    for (int panel = 0; panel < padded / PANEL; panel++)
        for (int row = 0; row < taps * inputs; row++)
            for (int side = 0; side < PANEL; side++) {
                int output = panel * PANEL + side;
                *to++ = output < outputs ? numbers[(size_t)row * outputs + output] : 0;
            }
    return 1;
}

static void release_weights(Weights *weights) {
    free(weights->floats);
    free(weights->bfloats);
    free(weights->bias);
}

/* Multiply: row i of the goal is the sum over the taps of row i + tap * dilation of `from` (a row
 * has `stride` numbers of the weights' kind) by the tap's weights. All threads come here. */
static void product(const Weights *weights, const void *from, int stride, int count,
                    const Goal *goal) {
    enum { MOST_EACH = 96, PIECES = 8 };
    int panel = weights->kind == BFLOATS ? 32 : PANEL, tile = weights->kind == BFLOATS ? 32 : TILE_ROWS;
    int panels = (weights->outputs + panel - 1) / panel;
    int blocks = (PIECES * crew.threads + panels - 1) / panels; /* wanted, so that none idles */
    int each = (count + blocks - 1) / blocks;
    each = (each + tile - 1) / tile * tile;
    if (each > MOST_EACH) each = MOST_EACH;
    blocks = count > 0 ? (count + each - 1) / each : 0;
#if defined(HAVE_TILES)
    const Tiling tiling = tiling_for(count);
    if (weights->kind == BFLOATS && blocks > 0) lay_out_tiles(tiling);
#endif
    SHARED(piece, panels * blocks) {
        int first = piece / panels * each, left = count - first, rows = left < each ? left : each;
#if defined(HAVE_TILES)
        if (weights->kind == BFLOATS) {
            bfloat_rows(tiling, weights, piece % panels, from, stride, first, rows, goal);
            continue;
        }
#endif
        float_rows(weights, piece % panels, from, stride, first, rows, goal);
    }
#if defined(HAVE_TILES)
    if (weights->kind == BFLOATS && blocks > 0) _tile_release();
#endif
    meet();
}

#endif
