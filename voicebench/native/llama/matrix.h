/*
 * Matrices of narrow integers, and their products with activations of narrow integers.
 *
 * A small model spends a token's time reading its weights, so they are kept narrow and read once,
 * in the order of use: in groups of 32 along the input, 8 outputs (one block) side by side. The
 * number of blocks is even, so that two of them can be multiplied at once.
 *
 *   INT8  one signed byte each, and a float16 scale per group and output;
 *   INT4  half a byte each, and a float16 step and minimum per group and output. It is taken only
 *         for a matrix that lies on such a grid already, because it came from a 4-bit file; so it
 *         loses nothing.
 *
 * Activations become signed bytes with one float scale per group of 32, so that a product is one of
 * integers and an outlier coarsens only its own group. (Grouped integers on both sides are the idea
 * of GGML's formats Q8_0 and Q4_1; layout and code are our own.)
 */

#ifndef VOICEBENCH_MATRIX_H
#define VOICEBENCH_MATRIX_H

#include <pthread.h>

#include "crew.h"
#include "memory.h"
#include "numbers.h"

enum { GROUP = 32, SIDE = LANES, PAIR = 2 * SIDE, MOST_ROWS = 256 };
enum { INT4 = 4, INT8 = 8 };
enum { STORED_F32, STORED_F16, STORED_BF16 };
enum {
    SCALES = SIDE * 2, /* bytes */
    INT4_GROUP = 2 * SCALES + SIDE * GROUP / 2,
    INT8_GROUP = SCALES + SIDE * GROUP,
};

typedef struct {
    int outputs, inputs, kind, blocks;
    size_t block_bytes, bytes;
    uint8_t *data;
    float *bias; /* in the order of the blocks, or NULL */
} Matrix;

/* Activations as integers (group, row, GROUP), with scale and scaled sum per (group, row): what is
 * multiplied by the same weights lies side by side. `rows` is how many the pass at hand has. */
typedef struct {
    int inputs, rows;
    int8_t *bytes;
    float *scale, *sum;
} Narrowed;

/* ------------------------------------------------------------------ packing */

enum { MOST_PARTS = 3, PER_GROUP = GROUP / LANES };

/* A matrix as it is stored in files: parts one above the other, all (rows, inputs) of one type. */
typedef struct {
    const void *parts[MOST_PARTS];
    int rows[MOST_PARTS];
    int stored;
} Source;

static vec8 read8(const Source *source, int part, size_t at) {
    if (source->stored == STORED_F32) return load8((const float *)source->parts[part] + at);
    const uint16_t *halves = (const uint16_t *)source->parts[part] + at;
    vec8 numbers;
    if (source->stored == STORED_BF16) {
        for (int i = 0; i < LANES; i++) numbers[i] = from_bfloat(halves[i]);
        return numbers;
    }
#if defined(HAVE_AVX2)
    return (vec8)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)halves));
#else
    for (int i = 0; i < LANES; i++) numbers[i] = from_half(halves[i]);
    return numbers;
#endif
}

/* Find the source of an output: its part, and the row in it; a negative part is beyond the end.
 * Gate and up take turns of SIDE outputs, so that the thread that has computed a gate has its up
 * too. */
static int find_row(const Source *source, int output, int in_turns, int *row) {
    if (in_turns) {
        int turn = output / SIDE;
        *row = turn / 2 * SIDE + output % SIDE;
        return turn % 2;
    }
    for (int part = 0; part < MOST_PARTS; part++) {
        if (output < source->rows[part]) {
            *row = output;
            return part;
        }
        output -= source->rows[part];
    }
    return -1;
}

static ivec8 limited8(ivec8 numbers, int least, int most) {
    ivec8 low = numbers < least, high = numbers > most;
    return (numbers & ~low & ~high) | (low & least) | (high & most);
}

/* Write four levels as bytes. */
static void store_bytes(uint8_t *bytes, ivec4 levels) {
#if defined(HAVE_AVX2)
    int32_t four = _mm_cvtsi128_si32(_mm_shuffle_epi8((__m128i)levels, _mm_set1_epi32(0x0c080400)));
    memcpy(bytes, &four, sizeof four);
#else
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)levels[i];
#endif
}

/* Return whether the group lies on a grid of 16 levels, but for the rounding of float16. */
static int pack_int4(const vec8 *numbers, uint8_t *group, int side) {
    vec8 most8 = numbers[0], least8 = -numbers[0];
    for (int i = 1; i < PER_GROUP; i++) {
        most8 = larger8(numbers[i], most8);
        least8 = larger8(-numbers[i], least8);
    }
    float most = largest8(most8), least = -largest8(least8), size = -least > most ? -least : most;
    uint16_t step_half = to_half((most - least) / 15), least_half = to_half(least);
    float step = from_half(step_half), from = from_half(least_half);
    float inverse = step > 0 ? 1 / step : 0;
    vec8 worst = all8(0);
    memcpy(group + 2 * side, &step_half, 2);
    memcpy(group + SCALES + 2 * side, &least_half, 2);
    for (int i = 0; i < PER_GROUP; i++) {
        ivec8 levels = limited8(nearest8((numbers[i] - all8(from)) * all8(inverse)), 0, 15);
        vec8 kept = all8(from) + all8(step) * __builtin_convertvector(levels, vec8);
        worst = larger8(size8(numbers[i] - kept), worst);
        uint8_t *bytes = group + 2 * SCALES + i * GROUP + side * 4;
        store_bytes(bytes, lower4(levels) | upper4(levels) << 4);
    }
    return largest8(worst) <= size * 1.5e-3f;
}

static void pack_int8(const vec8 *numbers, uint8_t *group, int side) {
    vec8 most = size8(numbers[0]);
    for (int i = 1; i < PER_GROUP; i++) most = larger8(size8(numbers[i]), most);
    uint16_t half = to_half(largest8(most) / 127);
    float scale = from_half(half), inverse = scale > 0 ? 1 / scale : 0;
    memcpy(group + 2 * side, &half, 2);
    for (int i = 0; i < PER_GROUP; i++) {
        ivec8 levels = limited8(nearest8(numbers[i] * all8(inverse)), -127, 127);
        uint8_t *bytes = group + SCALES + 2 * i * GROUP + side * 4;
        store_bytes(bytes, lower4(levels));
        store_bytes(bytes + GROUP, upper4(levels));
    }
}

typedef struct {
    Matrix *matrix;
    const Source *source;
    int in_turns;
    atomic_int next, fits;
} Packing;

/* Pack one output of a block; return whether it fits the matrix's kind. */
static int pack_output(const Packing *job, int block, int side) {
    const Matrix *matrix = job->matrix;
    int groups = matrix->inputs / GROUP, row = 0;
    size_t group_bytes = matrix->block_bytes / groups;
    int part = find_row(job->source, block * SIDE + side, job->in_turns, &row);
    uint8_t *group = matrix->data + (size_t)block * matrix->block_bytes;
    for (int g = 0; g < groups; g++, group += group_bytes) {
        vec8 numbers[PER_GROUP] = {0};
        for (int i = 0; part >= 0 && i < PER_GROUP; i++)
            numbers[i] = read8(job->source, part,
                               (size_t)row * matrix->inputs + g * GROUP + i * LANES);
        if (matrix->kind == INT8) pack_int8(numbers, group, side);
        else if (!pack_int4(numbers, group, side)) return 0;
    }
    return 1;
}

static void *pack_some(void *argument) {
    enum { PIECE = 16 };
    Packing *job = argument;
    int blocks = job->matrix->blocks, piece;
    while ((piece = atomic_fetch_add(&job->next, 1)) * PIECE < blocks)
        for (int block = piece * PIECE; block < (piece + 1) * PIECE && block < blocks; block++)
            for (int side = 0; side < SIDE; side++) {
                if (!atomic_load_explicit(&job->fits, memory_order_relaxed)) return NULL;
                if (!pack_output(job, block, side)) atomic_store(&job->fits, 0);
            }
    return NULL;
}

/* Store a matrix as INT4 if it fits, else as INT8; return which, or 0 if there is no memory. */
static int pack(Matrix *matrix, const Source *source, int in_turns, int threads) {
    static const int kinds[] = { INT4, INT8 };
    for (int attempt = 0; attempt < 2; attempt++) {
        matrix->kind = kinds[attempt];
        matrix->block_bytes =
            (size_t)(matrix->inputs / GROUP) * (matrix->kind == INT4 ? INT4_GROUP : INT8_GROUP);
        matrix->bytes = matrix->block_bytes * (size_t)matrix->blocks;
        matrix->data = aligned(matrix->bytes);
        if (!matrix->data) return 0;
        Packing job = { .matrix = matrix, .source = source, .in_turns = in_turns,
                        .next = 0, .fits = 1 };
        pthread_t helpers[MOST_THREADS];
        int started = 0;
        while (started < threads - 1 &&
               pthread_create(&helpers[started], NULL, pack_some, &job) == 0)
            started++;
        pack_some(&job);
        while (started > 0) pthread_join(helpers[--started], NULL);
        if (atomic_load(&job.fits)) return matrix->kind;
        free(matrix->data);
        matrix->data = NULL;
    }
    return 0;
}

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
