/* The HiFi-GAN decoder: frames to samples, window by window (Kong et al. 2020). */

#ifndef VOICEBENCH_DECODER_H
#define VOICEBENCH_DECODER_H

#include "reading.h"
#include "walk.h"

enum { MOST_STAGES = 8, MOST_BLOCKS = 8, MOST_STEPS = 8 };

/* A branch of a stage: a row of steps, each of a dilated convolution and, in a block of kind 1, an
 * undilated one. */
typedef struct {
    int kernel;
    Weights dilated[MOST_STEPS], plain[MOST_STEPS];
} Block;

typedef struct {
    int rate, kernel, channels;
    int crop;    /* rows that the upsampling leaves out at the utterance's beginning */
    int overlap; /* how many earlier rows still have a say in a row's output */
    int lags[MOST_STEPS], plain_lag;
    Weights upsampling;
    Block blocks[MOST_BLOCKS];
} Stage;

typedef struct {
    int inputs, channels, first_kernel, last_kernel, stages, blocks, steps, block_kind;
    float slope;
    Weights first;
    Stage stage[MOST_STAGES];
    float *last; /* (tap, channel) */
} Decoder;

static int reach_of(int kernel) { return (kernel - 1) / 2; }

/* Read the weights; the sizes of the stages, their kernels and dilations are there already. */
static void read_decoder(Reader *reader, Decoder *decoder, int kind) {
    read_weights(reader, &decoder->first, kind, decoder->first_kernel, 1, decoder->inputs,
                 decoder->channels);
    int inputs = decoder->channels;
    for (int i = 0; i < decoder->stages && !reader->failed; i++) {
        Stage *stage = decoder->stage + i;
        int channels = stage->channels = inputs / 2;
        stage->crop = (stage->kernel - stage->rate) / 2;
        stage->overlap = (stage->kernel - 1) / stage->rate;
        read_weights(reader, &stage->upsampling, kind, stage->overlap + 1, 1, inputs,
                     stage->rate * channels);
        for (int b = 0; b < decoder->blocks; b++) {
            Block *block = stage->blocks + b;
            int reach = reach_of(block->kernel);
            for (int step = 0; step < decoder->steps; step++) {
                int dilation = block->dilated[step].dilation;
                read_weights(reader, block->dilated + step, kind, block->kernel, dilation,
                             channels, channels);
                if (reach * dilation > stage->lags[step]) stage->lags[step] = reach * dilation;
                if (decoder->block_kind != 1) continue;
                read_weights(reader, block->plain + step, kind, block->kernel, 1, channels,
                             channels);
                if (reach > stage->plain_lag) stage->plain_lag = reach;
            }
        }
        inputs = channels;
    }
    decoder->last = read_floats(reader, (size_t)decoder->last_kernel * inputs);
}

static void release_decoder(Decoder *decoder) {
    release_weights(&decoder->first);
    for (int i = 0; i < decoder->stages; i++) {
        release_weights(&decoder->stage[i].upsampling);
        for (int b = 0; b < decoder->blocks; b++)
            for (int step = 0; step < decoder->steps; step++) {
                release_weights(decoder->stage[i].blocks[b].dilated + step);
                release_weights(decoder->stage[i].blocks[b].plain + step);
            }
    }
    free(decoder->last);
}

/* Return how many rows (time, inputs) become: each one becomes `rate` rows, of which those at the
 * utterance's beginning are cropped and those that the next row still changes wait. Sets `skipped`
 * to how many of the first rows of the product do not count. */
static int rows_after_upsampling(const Stage *stage, const Walk *walk, const Place *place,
                                 int *skipped) {
    int before = place->seen, rows = before + place->fresh;
    int start = before * stage->rate, stop = rows * stage->rate;
    if (walk->last) stop = rows ? (rows - 1) * stage->rate + stage->kernel - stage->crop : 0;
    *skipped = start < stage->crop ? stage->crop - start : 0;
    int count = stop - start - *skipped;
    return count > 0 ? count : 0;
}

/* Take a step of a branch: `place` holds its input with `lag` rows around, `inner` the same as the
 * convolution wants it. The goal's addition is the input itself, set here. */
static int take_step(Walk *walk, const Decoder *decoder, const Stage *stage, const Block *block,
                     int step, const Place *place, const void *inner, Goal goal) {
    const Weights *dilated = block->dilated + step;
    int channels = stage->channels, lag = stage->lags[step];
    int reach = reach_of(block->kernel), spare = lag - reach * dilated->dilation;
    int rows = place->count > 2 * lag ? place->count - 2 * lag : 0;
    const float *after = place->rows + (size_t)lag * channels;
    inner = further(dilated, inner, spare, channels);
    if (decoder->block_kind != 1) {
        goal.add = after;
        goal.add_stride = channels;
        product(dilated, inner, channels, rows, &goal);
        return rows;
    }
    int around = stage->plain_lag, most = rows + 4 * around;
    Place passed = open_place(walk, take(walk, most, channels), channels, around, rows);
    Place waiting = open_place(walk, take(walk, most + 2 * around, channels), channels, 0, rows);
    product(dilated, inner, channels, rows, &(Goal){ passed.put, channels, 0, 0, 0 });
    copy_rows(after, channels, rows, channels, waiting.put);
    close_place(walk, &passed, passed.count - 2 * around);
    rows = passed.count > 2 * around ? passed.count - 2 * around : 0;
    close_place(walk, &waiting, rows);
    const Weights *plain = block->plain + step;
    const void *bent_rows = bent(walk, plain, passed.rows, passed.count, channels, decoder->slope);
    goal.add = waiting.rows;
    goal.add_stride = channels;
    product(plain, further(plain, bent_rows, around - reach, channels), channels, rows, &goal);
    return rows;
}

/* Take all steps of a branch and put its end into the goal; return how many rows came out. */
static int run_block(Walk *walk, const Decoder *decoder, const Stage *stage, const Block *block,
                     Place place, const void *inner, Goal goal) {
    int channels = stage->channels, rows = 0;
    for (int step = 0; step < decoder->steps; step++) {
        if (step == decoder->steps - 1)
            return take_step(walk, decoder, stage, block, step, &place, inner, goal);
        /* How many rows come out of a step of kind 1 is known only there. */
        int most = place.count + 4 * stage->plain_lag;
        float *out = take(walk, most, channels);
        rows = take_step(walk, decoder, stage, block, step, &place, inner,
                         (Goal){ out, channels, 0, 0, 0 });
        int lag = stage->lags[step + 1];
        place = open_place(walk, take(walk, most + 4 * lag, channels), channels, lag, rows);
        copy_rows(out, channels, rows, channels, place.put);
        close_place(walk, &place, place.count - 2 * lag);
        inner = bent(walk, block->dilated + step + 1, place.rows, place.count, channels,
                     decoder->slope);
    }
    return rows;
}

/* Upsample rows (row, 2 * channels), then add up the branches (their mean is taken by the weights of
 * what follows); return how many rows came out. */
static int run_stage(Walk *walk, const Decoder *decoder, const Stage *stage, const float *rows,
                     int count, float **out) {
    int inputs = 2 * stage->channels, channels = stage->channels;
    int most_in = count + 2 * stage->overlap, most = most_in * stage->rate;
    for (int step = 0; step < decoder->steps; step++) most += 4 * stage->lags[step];
    float *total = *out = take(walk, most, channels);
    size_t mark = walk->used;
    Place before = open_place(walk, take(walk, most_in, inputs), inputs, stage->overlap, count);
    copy_rows(rows, inputs, count, inputs, before.put);
    close_place(walk, &before, before.count - stage->overlap);
    const void *inner = bent(walk, &stage->upsampling, before.rows, before.count, inputs,
                             decoder->slope);
    int skipped, fresh = rows_after_upsampling(stage, walk, &before, &skipped);
    int blocks = before.count > stage->overlap ? before.count - stage->overlap : 0;
    float *wider = take(walk, most, channels);
    product(&stage->upsampling, inner, inputs, blocks,
            &(Goal){ wider, stage->rate * channels, 0, 0, 0 });
    Place place = open_place(walk, take(walk, most, channels), channels, stage->lags[0], fresh);
    copy_rows(wider + (size_t)skipped * channels, channels, fresh, channels, place.put);
    close_place(walk, &place, place.count - 2 * stage->lags[0]);
    inner = bent(walk, &stage->blocks[0].dilated[0], place.rows, place.count, channels,
                 decoder->slope);
    int given = 0;
    for (int b = 0; b < decoder->blocks; b++) {
        size_t inside = walk->used;
        given = run_block(walk, decoder, stage, stage->blocks + b, place, inner,
                          (Goal){ total, channels, 0, 0, b > 0 });
        walk->used = inside;
    }
    walk->used = mark;
    return given;
}

/* Write the samples that the frames (row, input) up to here determine; return how many. */
static int run_decoder(Walk *walk, const Decoder *decoder, const float *frames, int count,
                       float *samples) {
    const float last_slope = 0.01f; /* of the leaky ReLU before the last convolution */
    int inputs = decoder->inputs, reach = reach_of(decoder->first_kernel);
    Place place = open_place(walk, take(walk, count + 4 * reach, inputs), inputs, reach, count);
    copy_rows(frames, inputs, count, inputs, place.put);
    close_place(walk, &place, place.count - 2 * reach);
    const void *inner = bent(walk, &decoder->first, place.rows, place.count, inputs, 1);
    count = place.count > 2 * reach ? place.count - 2 * reach : 0;
    int channels = decoder->channels;
    float *rows = take(walk, count, channels);
    product(&decoder->first, inner, inputs, count, &(Goal){ rows, channels, 0, 0, 0 });
    for (int i = 0; i < decoder->stages; i++)
        count = run_stage(walk, decoder, decoder->stage + i, rows, count, &rows);
    channels = decoder->stage[decoder->stages - 1].channels;
    reach = reach_of(decoder->last_kernel);
    place = open_place(walk, take(walk, count + 4 * reach, channels), channels, reach, count);
    SHARED_ROWS(row, count)
        for (int i = 0; i < channels; i++) {
            float number = rows[(size_t)row * channels + i];
            place.put[(size_t)row * channels + i] = number > 0 ? number : number * last_slope;
        }
    meet();
    close_place(walk, &place, place.count - 2 * reach);
    count = place.count > 2 * reach ? place.count - 2 * reach : 0;
    SHARED_ROWS(row, count)
        samples[row] = tanhf(dot(place.rows + (size_t)row * channels, decoder->last,
                                 decoder->last_kernel * channels));
    meet();
    return count;
}

#endif
