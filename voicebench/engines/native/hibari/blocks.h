/* The two layers that a hibari voice is made of: a ConvNeXt block over time (Liu et al. 2022), which
 * streams, and a transformer layer over the symbols of a text. */

#ifndef VOICEBENCH_HIBARI_BLOCKS_H
#define VOICEBENCH_HIBARI_BLOCKS_H

#include "norm.h"

enum { HEADS = 2 };
#define EPSILON 1e-5f

/* Rows plus, of each, a depthwise convolution, a norm and two products with a GELU between them. */
typedef struct {
    int channels, kernel, dilation;
    float *taps; /* (tap, channel) */
    float *bias;
    Norm norm;
    Weights widen, narrow;
} Block;

static void read_block(Reader *reader, Block *block, int kind, int channels, int wide_channels,
                       int kernel, int dilation) {
    *block = (Block){ .channels = channels, .kernel = kernel, .dilation = dilation };
    block->taps = read_floats(reader, (size_t)kernel * channels);
    block->bias = read_floats(reader, channels);
    read_norm(reader, &block->norm, channels);
    read_weights(reader, &block->widen, kind, 1, 1, channels, wide_channels);
    read_weights(reader, &block->narrow, kind, 1, 1, wide_channels, channels);
}

static void release_block(Block *block) {
    free(block->taps);
    free(block->bias);
    release_norm(&block->norm);
    release_weights(&block->widen);
    release_weights(&block->narrow);
}

static int reach_of_block(const Block *block) { return block->kernel / 2 * block->dilation; }

/* Run the statements for rows `first` to `first + some` of `count`, shared among the threads in pieces
 * of equal size. What follows one row through several layers is done by one thread: to hand rows to
 * another core takes longer than many a product of few rows. */
#define SHARED_PIECES(first, some, count)                                                         \
    for (int each = rows_each(count), first, some, piece_;                                        \
         (piece_ = atomic_fetch_add_explicit(&crew.next, 1, memory_order_relaxed),                \
         first = piece_ * each, some = (count) - first < each ? (count) - first : each,           \
         some > 0);)

static int rows_each(int count) {
    enum { MOST_EACH = 96 }; /* so that they stay in a core's cache */
    int each = (count + crew.threads - 1) / crew.threads;
    return each < 1 ? 1 : each < MOST_EACH ? each : MOST_EACH;
}

/* Multiply some rows by float32 weights, in this thread alone. */
static void row_product(const Weights *weights, const float *from, int stride, int first, int some,
                        const Goal *goal) {
    for (int panel = 0; panel * PANEL < weights->outputs; panel++)
        float_rows(weights, panel, from, stride, first, some, goal);
}

static void bend(float *numbers, size_t count) {
    for (size_t i = 0; i < count; i += WIDE) store(numbers + i, gelu(load(numbers + i)));
}

static void bend_rows(float *rows, int count, int channels) {
    SHARED(row, count) bend(rows + (size_t)row * channels, channels);
    meet();
}

/* Write the normalised depthwise convolution of one row; `from` is its first tap. Channels are a
 * multiple of WIDE. */
static void convolve_row(const Block *block, const float *from, float *to) {
    int channels = block->channels;
    size_t step = (size_t)block->dilation * channels;
    for (int i = 0; i < channels; i += WIDE) {
        wide sum = load(block->bias + i);
        for (int tap = 0; tap < block->kernel; tap++)
            sum += load(from + tap * step + i) * load(block->taps + (size_t)tap * channels + i);
        store(to + i, sum);
    }
    normalise_row(to, channels, &block->norm, EPSILON, to);
}

/* Take the rows of `place`, which has the block's reach as its edge; write to `to` the rows that
 * they complete, and return how many. */
static int run_block(Walk *walk, const Block *block, Place *place, float *to) {
    int channels = block->channels, wide_channels = block->widen.outputs;
    int reach = reach_of_block(block);
    int count = place->count > 2 * reach ? place->count - 2 * reach : 0;
    size_t mark = walk->used;
    float *hidden = take(walk, count, channels), *widened = take(walk, count, wide_channels);
    const float *beside = place->rows + (size_t)reach * channels;
    close_place(walk, place, place->count - 2 * reach);
    if (block->widen.kind == FLOATS) {
        SHARED_PIECES(first, some, count) {
            for (int row = first; row < first + some; row++)
                convolve_row(block, place->rows + (size_t)row * channels,
                             hidden + (size_t)row * channels);
            row_product(&block->widen, hidden, channels, first, some,
                        &(Goal){ widened, wide_channels, 0, 0, 0 });
            bend(widened + (size_t)first * wide_channels, (size_t)some * wide_channels);
            row_product(&block->narrow, widened, wide_channels, first, some,
                        &(Goal){ to, channels, beside, channels, 0 });
        }
        meet();
    } else {
        SHARED(row, count)
            convolve_row(block, place->rows + (size_t)row * channels, hidden + (size_t)row * channels);
        meet();
        product(&block->widen, bent(walk, &block->widen, hidden, count, channels, 1), channels,
                count, &(Goal){ widened, wide_channels, 0, 0, 0 });
        bend_rows(widened, count, wide_channels);
        product(&block->narrow, bent(walk, &block->narrow, widened, count, wide_channels, 1),
                wide_channels, count, &(Goal){ to, channels, beside, channels, 0 });
    }
    walk->used = mark;
    return count;
}

/* Run blocks one after the other over `count` rows that `put` was given the room for: it wrote them
 * to the place of the first block. Return how many rows came out, in `out`. */
static int run_blocks(Walk *walk, const Block *blocks, int number, Place place, float **out) {
    int channels = blocks[0].channels, count = 0;
    for (int i = 0; i < number; i++) {
        int reach = reach_of_block(blocks + i);
        int fresh = place.count > 2 * reach ? place.count - 2 * reach : 0;
        if (i == number - 1) {
            *out = take(walk, fresh, channels);
            count = run_block(walk, blocks + i, &place, *out);
            break;
        }
        int edge = reach_of_block(blocks + i + 1);
        float *memory = take(walk, fresh + 4 * edge, channels);
        Place next = open_place(walk, memory, channels, edge, fresh);
        run_block(walk, blocks + i, &place, next.put);
        place = next;
    }
    return count;
}

/* ------------------------------------------------------------------ symbols */

typedef struct {
    int channels;
    Norm before, between;
    Weights joint, output, widen, narrow;
} Layer;

static void read_layer(Reader *reader, Layer *layer, int channels, int wide_channels) {
    layer->channels = channels;
    read_norm(reader, &layer->before, channels);
    read_weights(reader, &layer->joint, FLOATS, 1, 1, channels, 3 * channels);
    read_weights(reader, &layer->output, FLOATS, 1, 1, channels, channels);
    read_norm(reader, &layer->between, channels);
    read_weights(reader, &layer->widen, FLOATS, 1, 1, channels, wide_channels);
    read_weights(reader, &layer->narrow, FLOATS, 1, 1, wide_channels, channels);
}

static void release_layer(Layer *layer) {
    release_norm(&layer->before);
    release_norm(&layer->between);
    release_weights(&layer->joint);
    release_weights(&layer->output);
    release_weights(&layer->widen);
    release_weights(&layer->narrow);
}

/* Write what one head of one symbol reads of all symbols. `scores` is room for all of them. */
static void read_symbols(const float *joint, int channels, int count, int symbol, int head,
                         float *scores, float *read) {
    int width = channels / HEADS, line = 3 * channels;
    const float *query = joint + (size_t)symbol * line + head * width;
    const float *keys = joint + channels + head * width, *values = keys + channels;
    float scale = 1 / sqrtf((float)width), most = -INFINITY, total = 0;
    for (int other = 0; other < count; other++) {
        scores[other] = dot(query, keys + (size_t)other * line, width) * scale;
        if (scores[other] > most) most = scores[other];
    }
    memset(read, 0, width * sizeof *read);
    for (int other = 0; other < count; other++) {
        const float *value = values + (size_t)other * line;
        float share = expf(scores[other] - most);
        total += share;
        for (int i = 0; i < width; i++) read[i] += share * value[i];
    }
    for (int i = 0; i < width; i++) read[i] /= total;
}

static void normalise_some(const float *rows, int first, int some, int channels, const Norm *norm,
                           float *to) {
    for (int row = first; row < first + some; row++)
        normalise_row(rows + (size_t)row * channels, channels, norm, EPSILON,
                      to + (size_t)row * channels);
}

static void normalised(const float *rows, int count, int channels, const Norm *norm, float *to) {
    SHARED(row, count)
        normalise_row(rows + (size_t)row * channels, channels, norm, EPSILON,
                      to + (size_t)row * channels);
    meet();
}

/* Change `rows` (symbol, channel) by one transformer layer. */
static void run_layer(Walk *walk, const Layer *layer, float *rows, int count) {
    int channels = layer->channels, wide_channels = layer->widen.outputs;
    size_t mark = walk->used;
    float *hidden = take(walk, count, channels), *joint = take(walk, count, 3 * channels);
    float *widened = take(walk, count, wide_channels), *read = take(walk, count, channels);
    float *scores = take(walk, crew.threads, count) + (size_t)walk->thread * count;
    SHARED_PIECES(first, some, count) {
        normalise_some(rows, first, some, channels, &layer->before, hidden);
        row_product(&layer->joint, hidden, channels, first, some,
                    &(Goal){ joint, 3 * channels, 0, 0, 0 });
    }
    meet();
    SHARED_PIECES(first, some, count) {
        for (int symbol = first; symbol < first + some; symbol++)
            for (int head = 0; head < HEADS; head++)
                read_symbols(joint, channels, count, symbol, head, scores,
                             read + (size_t)symbol * channels + head * (channels / HEADS));
        row_product(&layer->output, read, channels, first, some, &(Goal){ rows, channels, 0, 0, 1 });
        normalise_some(rows, first, some, channels, &layer->between, hidden);
        row_product(&layer->widen, hidden, channels, first, some,
                    &(Goal){ widened, wide_channels, 0, 0, 0 });
        bend(widened + (size_t)first * wide_channels, (size_t)some * wide_channels);
        row_product(&layer->narrow, widened, wide_channels, first, some,
                    &(Goal){ rows, channels, 0, 0, 1 });
    }
    meet();
    walk->used = mark;
}

#endif
