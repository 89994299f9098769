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
#include "tiles.h"

/* Activations, as their product wants them: for a few rows integers (group, row, GROUP) with scale
 * and scaled sum per (group, row), so that what is multiplied by the same weights lies side by side;
 * for the rows of longer prompts, where the processor has tiles, bfloat16 (row, input). `rows` is how
 * many rows the pass at hand has; those from `tiled` on are multiplied by tiles. */
typedef struct {
    int inputs, rows, tiled;
    int8_t *bytes;
    float *scale, *sum;
    uint16_t *bfloats;
} Narrowed;

/* Whether a prompt is multiplied by tiles. Unpacking costs the same for any number of rows: it pays
 * from some on. */
static int goes_by_tiles(int prompt) {
    enum { FEWEST = 13 };
    return prompt >= FEWEST && has_tiles();
}

/* ------------------------------------------------------------------ activations */

static void narrow_to_integers(const float *numbers, Narrowed *to, int row) {
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

/* Bring a row into the form that its product wants. */
static void narrow(const float *numbers, Narrowed *to, int row) {
    if (row < to->tiled) {
        narrow_to_integers(numbers, to, row);
        return;
    }
    uint16_t *bfloats = to->bfloats + (size_t)row * to->inputs;
    for (int i = 0; i < to->inputs; i++) bfloats[i] = to_bfloat(numbers[i]);
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
    for (int row = 0; row < rows; row++) _mm512_storeu_ps(out + row * PANEL, sums[row]);
}

#else

static void pair_of_blocks(const Matrix *matrix, const uint8_t *one, const Narrowed *from,
                           int first, int rows, float *out) {
    float half[MOST_ROWS * SIDE];
    for (int which = 0; which < 2; which++, one += matrix->block_bytes) {
        if (matrix->kind == INT4) block_int4(one, from, first, rows, half);
        else block_int8(one, from, first, rows, half);
        for (int row = 0; row < rows; row++)
            memcpy(out + row * PANEL + which * SIDE, half + row * SIDE, SIDE * sizeof *half);
    }
}

#endif

/* ------------------------------------------------------------------ many rows, by tiles */

#if defined(HAVE_TILES)

/* Write 16 outputs of two inputs each, as bfloat16 side by side. */
static inline void put_inputs(uint16_t *to, __m512 one, __m512 other) {
    __m512i ends = _mm512_set1_epi32(0x8000); /* rounds to nearest */
    __m512i low = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(one), ends), 16);
    __m512i high = _mm512_add_epi32(_mm512_castps_si512(other), ends);
    const int upper_half_of_high_or_low = 0xea; /* (high & mask) | low */
    __m512i mask = _mm512_set1_epi32((int)0xffff0000);
    _mm512_storeu_si512(to, _mm512_ternarylogic_epi32(high, mask, low, upper_half_of_high_or_low));
}

/* Return 128 + a level that has bits 16 … 19: its bits are the upper ones of the float's own. */
static inline __m512 from_level(__m512i bits) {
    const int masked_or_other = 0xea;
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
                look_ahead(one, (int)group_bytes);
                look_ahead(other, (int)group_bytes);
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
        pair_of_blocks(matrix, data, from, 0, few, out);
        pair_of_blocks(matrix, data + 2 * matrix->block_bytes, from, 0, few, out + PAIR);
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
