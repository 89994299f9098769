/* The stochastic duration predictor: a flow of splines, read backwards, run once for an utterance.
 */

#ifndef VOICEBENCH_DURATIONS_H
#define VOICEBENCH_DURATIONS_H

#include "text.h"

typedef struct {
    float *gains, *shift; /* of the convolution of each channel alone: (tap, channel), (channel) */
    int dilation;
    Norm alone_norm, mix_norm;
    Weights mix;
} Separable;

typedef struct {
    float *gain, *bias; /* from one number to the channels */
    Separable *layers;
    Weights project;
} Spline;

typedef struct {
    int inputs, channels, kernel, layers, flows, bins;
    float bound, epsilon;
    Weights pre, project;
    Separable *layer;
    Spline *flow;
    float shift, log_scale;
} Durations;

enum { MOST_BINS = 64 };

static Separable *read_separable(Reader *reader, const Durations *sizes) {
    Separable *layers = calloc(sizes->layers, sizeof *layers);
    if (!layers) reader->failed = 1;
    int dilation = 1, channels = sizes->channels;
    for (int i = 0; i < sizes->layers && !reader->failed; i++, dilation *= sizes->kernel) {
        layers[i].dilation = dilation;
        layers[i].gains = read_floats(reader, (size_t)sizes->kernel * channels);
        layers[i].shift = read_floats(reader, channels);
        read_norm(reader, &layers[i].alone_norm, channels);
        read_weights(reader, &layers[i].mix, FLOATS, 1, 1, channels, channels);
        read_norm(reader, &layers[i].mix_norm, channels);
    }
    return layers;
}

static void release_separable(Separable *layers, int count) {
    for (int i = 0; layers && i < count; i++) {
        free(layers[i].gains);
        free(layers[i].shift);
        release_norm(&layers[i].alone_norm);
        release_weights(&layers[i].mix);
        release_norm(&layers[i].mix_norm);
    }
    free(layers);
}

static void read_durations(Reader *reader, Durations *durations) {
    int channels = durations->channels;
    read_weights(reader, &durations->pre, FLOATS, 1, 1, durations->inputs, channels);
    durations->layer = read_separable(reader, durations);
    read_weights(reader, &durations->project, FLOATS, 1, 1, channels, channels);
    durations->flow = calloc(durations->flows, sizeof *durations->flow);
    if (!durations->flow) reader->failed = 1;
    for (int i = 0; i < durations->flows && !reader->failed; i++) {
        Spline *flow = durations->flow + i;
        flow->gain = read_floats(reader, channels);
        flow->bias = read_floats(reader, channels);
        flow->layers = read_separable(reader, durations);
        read_weights(reader, &flow->project, FLOATS, 1, 1, channels, 3 * durations->bins - 1);
    }
    const float *ends = next_array(reader);
    if (reader->failed) return;
    durations->shift = ends[0];
    durations->log_scale = ends[1];
}

static void release_durations(Durations *durations) {
    release_weights(&durations->pre);
    release_separable(durations->layer, durations->layers);
    release_weights(&durations->project);
    for (int i = 0; durations->flow && i < durations->flows; i++) {
        free(durations->flow[i].gain);
        free(durations->flow[i].bias);
        release_separable(durations->flow[i].layers, durations->layers);
        release_weights(&durations->flow[i].project);
    }
    free(durations->flow);
}

static void bend_row(float *row, int channels) {
    int i = 0;
    for (; i + WIDE <= channels; i += WIDE) store(row + i, gelu(load(row + i)));
    for (; i < channels; i++) {
        wide one = all(row[i]);
        row[i] = gelu(one)[0];
    }
}

/* Add to rows (symbol, channel) what each layer makes of them: a convolution of each channel alone,
 * then a mix of the channels. */
static void separable_layers(Walk *walk, const Durations *sizes, const Separable *layers,
                             float *rows, int count) {
    int channels = sizes->channels, middle = sizes->kernel / 2;
    size_t mark = walk->used;
    float *alone = take(walk, count, channels), *mixed = take(walk, count, channels);
    for (const Separable *layer = layers; layer < layers + sizes->layers; layer++) {
        SHARED(row, count) {
            float *to = alone + (size_t)row * channels;
            memcpy(to, layer->shift, channels * sizeof *to);
            for (int tap = 0; tap < sizes->kernel; tap++) {
                int from = row + (tap - middle) * layer->dilation;
                if (from < 0 || from >= count) continue;
                const float *seen = rows + (size_t)from * channels;
                const float *gain = layer->gains + (size_t)tap * channels;
                for (int i = 0; i < channels; i++) to[i] += seen[i] * gain[i];
            }
            normalise_row(to, channels, &layer->alone_norm, sizes->epsilon, to);
            bend_row(to, channels);
        }
        meet();
        product(&layer->mix, alone, channels, count, &(Goal){ mixed, channels, 0, 0, 0 });
        SHARED(row, count) {
            float *from = mixed + (size_t)row * channels, *to = rows + (size_t)row * channels;
            normalise_row(from, channels, &layer->mix_norm, sizes->epsilon, from);
            bend_row(from, channels);
            for (int i = 0; i < channels; i++) to[i] += from[i];
        }
        meet();
    }
    walk->used = mark;
}

/* Write to ends[0 … bins] the knots that shares of [-bound, bound] make, least 1e-3 of it each. */
static void knots(const float *raw, int bins, float bound, float divisor, float *ends) {
    const float smallest = 1e-3f;
    float most = raw[0], total = 0, sum = 0, shares[MOST_BINS];
    for (int i = 1; i < bins; i++) most = raw[i] > most ? raw[i] : most;
    for (int i = 0; i < bins; i++) total += shares[i] = expf((raw[i] - most) / divisor);
    ends[0] = -bound;
    for (int i = 0; i < bins; i++) {
        sum += smallest + (1 - smallest * (float)bins) * shares[i] / total;
        ends[i + 1] = 2 * bound * sum - bound;
    }
    ends[bins] = bound;
}

/* Return x with spline(x) = value, for a monotonic rational-quadratic spline (Durkan et al. 2019,
 * arXiv:1906.04032): `raw` are its widths and heights before their softmax, and the slopes at its
 * inner knots before their softplus. */
static float inverse_spline(const float *raw, int bins, float bound, float divisor, float value) {
    if (!(fabsf(value) <= bound)) return value;
    float lefts[MOST_BINS + 1], bottoms[MOST_BINS + 1];
    knots(raw, bins, bound, divisor, lefts);
    knots(raw + bins, bins, bound, divisor, bottoms);
    int bin = 0;
    while (bin < bins - 1 && value >= bottoms[bin + 1]) bin++;
    const float *slopes = raw + 2 * bins - 1, smallest = 1e-3f;
    float before = 1, after = 1;
    if (bin > 0) before = smallest + fmaxf(slopes[bin], 0) + log1pf(expf(-fabsf(slopes[bin])));
    if (bin < bins - 1)
        after = smallest + fmaxf(slopes[bin + 1], 0) + log1pf(expf(-fabsf(slopes[bin + 1])));
    float width = lefts[bin + 1] - lefts[bin], height = bottoms[bin + 1] - bottoms[bin];
    float steepness = height / width, rise = value - bottoms[bin];
    float bend = rise * (before + after - 2 * steepness);
    float a = height * (steepness - before) + bend, b = height * before - bend;
    float c = -steepness * rise;
    return 2 * c / (-b - sqrtf(b * b - 4 * a * c)) * width + lefts[bin];
}

/* Write the log durations (symbol) for hidden (symbol, input) and noise (symbol, 2). */
static void predict_durations(Walk *walk, const Durations *sizes, const float *hidden, int count,
                              const float *noise, float *log_durations) {
    int channels = sizes->channels, width = 3 * sizes->bins - 1;
    float *rows = take(walk, count, channels), *condition = take(walk, count, channels);
    float *raw = take(walk, count, width);
    float *pair[2] = { take(walk, count, 1), take(walk, count, 1) };
    product(&sizes->pre, hidden, sizes->inputs, count, &(Goal){ rows, channels, 0, 0, 0 });
    separable_layers(walk, sizes, sizes->layer, rows, count);
    product(&sizes->project, rows, channels, count, &(Goal){ condition, channels, 0, 0, 0 });
    SHARED_ROWS(row, count) {
        pair[0][row] = noise[2 * row];
        pair[1][row] = noise[2 * row + 1];
    }
    meet();
    int still = 0; /* which of the two shapes the spline; they take turns */
    float divisor = sqrtf((float)channels);
    for (const Spline *flow = sizes->flow; flow < sizes->flow + sizes->flows; flow++) {
        still = !still;
        SHARED_ROWS(row, count)
            for (int i = 0; i < channels; i++) {
                size_t at = (size_t)row * channels + i;
                rows[at] = pair[still][row] * flow->gain[i] + flow->bias[i] + condition[at];
            }
        meet();
        separable_layers(walk, sizes, flow->layers, rows, count);
        product(&flow->project, rows, channels, count, &(Goal){ raw, width, 0, 0, 0 });
        SHARED_ROWS(row, count)
            pair[!still][row] = inverse_spline(raw + (size_t)row * width, sizes->bins,
                                               sizes->bound, divisor, pair[!still][row]);
        meet();
    }
    SHARED_ROWS(row, count)
        log_durations[row] = (pair[!still][row] - sizes->shift) * expf(-sizes->log_scale);
    meet();
}

#endif
