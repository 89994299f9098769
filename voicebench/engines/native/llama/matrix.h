/*
 * Matrices of narrow integers: how they are stored, and how they get there.
 *
 * A small model spends a token's time reading its weights, so they are kept narrow and read once,
 * in the order of use: in groups of 32 along the input, 8 outputs (one block) side by side. Four
 * blocks are a panel; a matrix has whole panels.
 *
 *   INT8  one signed byte each, and a float16 scale per group and output;
 *   INT4  half a byte each, and a float16 step and minimum per group and output. It is taken only
 *         for a matrix that lies on such a grid already, because it came from a 4-bit file; so it
 *         loses nothing.
 */

#ifndef VOICEBENCH_MATRIX_H
#define VOICEBENCH_MATRIX_H

#include <pthread.h>

#include "crew.h"
#include "memory.h"
#include "numbers.h"

enum { GROUP = 32, SIDE = LANES, PAIR = 2 * SIDE, PANEL = 2 * PAIR, MOST_ROWS = 256 };
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
static int pack(Matrix *matrix, const Source *source, int in_turns, int threads, Pool *pool) {
    static const int kinds[] = { INT4, INT8 };
    for (int attempt = 0; attempt < 2; attempt++) {
        matrix->kind = kinds[attempt];
        matrix->block_bytes =
            (size_t)(matrix->inputs / GROUP) * (matrix->kind == INT4 ? INT4_GROUP : INT8_GROUP);
        matrix->bytes = matrix->block_bytes * (size_t)matrix->blocks;
        matrix->data = from_pool(pool, matrix->bytes);
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
        into_pool(pool, matrix->data);
        matrix->data = NULL;
    }
    return 0;
}

#endif
