/*
 * Products of bfloat16, two tiles of 16 rows by two tiles of 16 outputs at once, with sums in float32
 * (AMX: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18).
 *
 * Weights come in the order in which tiles are filled: (step of 32 inputs, half of the 32 outputs,
 * pair of inputs, 16 outputs, 2 inputs).
 */

#ifndef VOICEBENCH_TILES_H
#define VOICEBENCH_TILES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define HAVE_TILES 1
#endif

enum { EDGE = 16, STEP = 32 /* inputs */, TILE = EDGE * STEP /* numbers */ };

/* Return whether this processor has tiles and the system lets this process use them; it is asked
 * once (Linux, x86/xstate). */
static inline int has_tiles(void) {
#if defined(HAVE_TILES)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    static atomic_int granted = -1;
    if (granted < 0)
        granted = syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
    return granted;
#else
    return 0;
#endif
}

#if defined(HAVE_TILES)

/* How rows are multiplied: so many in an upper tile and so many in a lower one, 16 each at most. A
 * product takes as long as its tiles have rows. */
typedef struct {
    int upper, lower;
} Tiling;

static inline Tiling tiling_for(int rows) {
    if (rows <= EDGE) return (Tiling){ rows, 0 };
    if (rows > 2 * EDGE) rows = 2 * EDGE;
    return (Tiling){ (rows + 1) / 2, (rows + 1) / 2 };
}

/* Each thread does this before it multiplies, and `_tile_release` after: other libraries lay out
 * tiles of their own. */
static inline void lay_out_tiles(Tiling tiling) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } __attribute__((aligned(64))) layout = { .palette = 1 };
    const int lower = tiling.lower ? tiling.lower : 1; /* 0 would be no layout */
    const int rows[8] = { tiling.upper, tiling.upper, lower, lower, tiling.upper, lower, EDGE, EDGE };
    for (int tile = 0; tile < 8; tile++) {
        layout.bytes[tile] = 64;
        layout.rows[tile] = (uint8_t)rows[tile];
    }
    _tile_loadconfig(&layout);
}

/* Multiply as many rows as the tiling has, `stride` numbers apart, for each tap `tap_stride` numbers
 * further on, and write the sums (rows, 32), or add to what is there. */
static inline void multiply_tiles(Tiling tiling, const uint16_t *from, size_t stride, int taps,
                                  size_t tap_stride, int steps, const uint16_t *weights, int add,
                                  float *sums) {
    size_t line = stride * sizeof *from, width = 2 * EDGE * sizeof *sums;
    float *below = sums + tiling.upper * 2 * EDGE;
    if (add) {
        _tile_loadd(0, sums, width);
        _tile_loadd(1, sums + EDGE, width);
        if (tiling.lower) {
            _tile_loadd(2, below, width);
            _tile_loadd(3, below + EDGE, width);
        }
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int tap = 0; tap < taps; tap++, from += tap_stride)
        for (int step = 0; step < steps; step++, weights += 2 * TILE) {
            _tile_loadd(4, from + step * STEP, line);
            _tile_loadd(6, weights, 64);
            _tile_loadd(7, weights + TILE, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            if (!tiling.lower) continue;
            _tile_loadd(5, from + tiling.upper * stride + step * STEP, line);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    _tile_stored(0, sums, width);
    _tile_stored(1, sums + EDGE, width);
    if (!tiling.lower) return;
    _tile_stored(2, below, width);
    _tile_stored(3, below + EDGE, width);
}

#endif

#endif
