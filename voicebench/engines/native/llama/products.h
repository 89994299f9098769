/* Products of a matrix with activations, by the instructions that this processor has. */

#ifndef VOICEBENCH_LLAMA_PRODUCTS_H
#define VOICEBENCH_LLAMA_PRODUCTS_H

#include "narrowed.h"

#if defined(HAVE_TILES)
#include "products_tiles.h"
#elif defined(HAVE_PAIRS)
#include "products_avx512.h"
#elif defined(HAVE_AVX2)
#include "products_avx2.h"
#else
#include "products_plain.h"
#endif

/* Around the panels that a thread multiplies. */
static inline void begin_panels(const Narrowed *from, int rows) {
#if defined(HAVE_TILES)
    if (rows > from->tiled) lay_out_tiles(tiling_of_rows(rows - from->tiled));
#endif
    (void)from, (void)rows;
}

static inline void end_panels(const Narrowed *from, int rows) {
#if defined(HAVE_TILES)
    if (rows > from->tiled) _tile_release();
#endif
    (void)from, (void)rows;
}

/* Compute the outputs of one panel for the first `rows` rows of activations; out is (rows, PANEL),
 * with room for PANEL rows more. The sums of a row are the same whichever rows are beside it. */
static void multiply_panel(const Matrix *matrix, int panel, const Narrowed *from, int rows,
                           float *out) {
    const uint8_t *data = matrix->data + (size_t)panel * (PANEL / SIDE) * matrix->block_bytes;
    int few = rows < from->tiled ? rows : from->tiled;
    if (few) {
        pair_of_blocks(matrix, data, from, few, out);
        pair_of_blocks(matrix, data + 2 * matrix->block_bytes, from, few, out + PAIR);
    }
#if defined(HAVE_TILES)
    if (rows > few)
        panel_by_tiles(matrix, data, from, few, rows - few, out + (size_t)few * PANEL);
#endif
    if (!matrix->bias) return;
    for (int row = 0; row < rows; row++)
        for (int side = 0; side < PANEL; side++)
            out[row * PANEL + side] += matrix->bias[panel * PANEL + side];
}

#endif
