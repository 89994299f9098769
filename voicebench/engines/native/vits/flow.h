/* The flow, reversed: what turns the prior's frames into the decoder's, window by window. */

#ifndef VOICEBENCH_FLOW_H
#define VOICEBENCH_FLOW_H

#include "reading.h"
#include "walk.h"

/* One half of the channels, through a small WaveNet, says what to take from the other half. */
typedef struct {
    Weights pre, *gates, *mixes, post;
} Coupling;

typedef struct {
    int channels, couplings, hidden, layers, kernel, dilation_rate;
    int lag; /* how many frames the output stays behind the input, until the end comes in */
    Coupling *coupling;
} Flow;

static void read_flow(Reader *reader, Flow *flow) {
    int half = flow->channels / 2, hidden = flow->hidden;
    flow->coupling = calloc(flow->couplings, sizeof *flow->coupling);
    if (!flow->coupling) reader->failed = 1;
    for (int i = 0; i < flow->couplings && !reader->failed; i++) {
        Coupling *coupling = flow->coupling + i;
        read_weights(reader, &coupling->pre, FLOATS, 1, 1, half, hidden);
        coupling->gates = calloc(flow->layers, sizeof *coupling->gates);
        coupling->mixes = calloc(flow->layers, sizeof *coupling->mixes);
        if (!coupling->gates || !coupling->mixes) reader->failed = 1;
        int dilation = 1;
        for (int layer = 0; layer < flow->layers && !reader->failed; layer++) {
            int parts = layer < flow->layers - 1 ? 2 : 1;
            read_weights(reader, coupling->gates + layer, FLOATS, flow->kernel, dilation, hidden,
                         2 * hidden);
            read_weights(reader, coupling->mixes + layer, FLOATS, 1, 1, hidden, parts * hidden);
            flow->lag += (flow->kernel - 1) / 2 * dilation;
            dilation *= flow->dilation_rate;
        }
        read_weights(reader, &coupling->post, FLOATS, 1, 1, hidden, half);
    }
}

static void release_flow(Flow *flow) {
    for (int i = 0; flow->coupling && i < flow->couplings; i++) {
        Coupling *coupling = flow->coupling + i;
        for (int layer = 0; layer < flow->layers; layer++) {
            if (coupling->gates) release_weights(coupling->gates + layer);
            if (coupling->mixes) release_weights(coupling->mixes + layer);
        }
        free(coupling->gates);
        free(coupling->mixes);
        release_weights(&coupling->pre);
        release_weights(&coupling->post);
    }
    free(flow->coupling);
}

/* Join two halves of rows (row, 2 * hidden): tanh of one times sigmoid of the other. */
static void gate_rows(const float *opened, int rows, int hidden, float *passed) {
    SHARED(row, rows) {
        const float *one = opened + (size_t)row * 2 * hidden, *other = one + hidden;
        float *to = passed + (size_t)row * hidden;
        int i = 0;
        for (; i + WIDE <= hidden; i += WIDE)
            store(to + i, hyperbolic_tangent(load(one + i)) * sigmoid(load(other + i)));
        for (; i < hidden; i++) to[i] = tanhf(one[i]) / (1 + expf(-other[i]));
    }
    meet();
}

/* Write what to take from the other half, for the frames that `still` determines; return how many
 * there are. */
static int couple(Walk *walk, const Flow *flow, const Coupling *coupling, const float *still,
                  int stride, int count, float *taken) {
    int hidden = flow->hidden, half = flow->channels / 2, reach = (flow->kernel - 1) / 2;
    int most = count + 2 * flow->lag + 2 * coupling->gates[flow->layers - 1].dilation * reach;
    size_t mark = walk->used;
    float *inner[2] = { take(walk, most, hidden), take(walk, most, hidden) };
    float *sums[2] = { take(walk, most, hidden), take(walk, most, hidden) };
    float *opened = take(walk, most, 2 * hidden), *passed = take(walk, most, hidden);
    float *mixed = take(walk, most, 2 * hidden), *sum = take(walk, most, hidden);
    Place seen = open_place(walk, inner[0], hidden, reach, count), total = { 0 };
    product(&coupling->pre, still, stride, count, &(Goal){ seen.put, hidden, 0, 0, 0 });
    int rows = 0;
    for (int layer = 0; layer < flow->layers; layer++) {
        const Weights *gate = coupling->gates + layer, *mix = coupling->mixes + layer;
        int around = gate->dilation * reach, is_last = layer == flow->layers - 1;
        close_place(walk, &seen, seen.count - 2 * around);
        rows = seen.count > 2 * around ? seen.count - 2 * around : 0;
        product(gate, seen.rows, hidden, rows, &(Goal){ opened, 2 * hidden, 0, 0, 0 });
        gate_rows(opened, rows, hidden, passed);
        product(mix, passed, hidden, rows, &(Goal){ mixed, mix->outputs, 0, 0, 0 });
        Place next = { 0 }, next_total = { 0 };
        float *to_sum = sum;
        if (!is_last) {
            next = open_place(walk, inner[(layer + 1) % 2], hidden, gate[1].dilation * reach, rows);
            next_total = open_place(walk, sums[layer % 2], hidden, 0, rows);
            to_sum = next_total.put;
        }
        SHARED_ROWS(row, rows) {
            const float *part = mixed + (size_t)row * mix->outputs;
            if (!is_last) {
                const float *before = seen.rows + (size_t)(around + row) * hidden;
                float *to = next.put + (size_t)row * hidden;
                for (int i = 0; i < hidden; i++) to[i] = before[i] + part[i];
                part += hidden;
            }
            float *to = to_sum + (size_t)row * hidden;
            const float *earlier = total.rows + (size_t)row * hidden;
            for (int i = 0; i < hidden; i++) to[i] = layer ? earlier[i] + part[i] : part[i];
        }
        meet();
        if (layer) close_place(walk, &total, rows);
        seen = next;
        total = next_total;
    }
    product(&coupling->post, sum, hidden, rows, &(Goal){ taken, half, 0, 0, 0 });
    walk->used = mark;
    return rows;
}

/* Write to `out` the decoder's frames (row, channel) that the frames up to here determine; return
 * how many there are. The reversed flow flips the order of the channels before each coupling, which
 * then reads the first half and changes the second. */
static int run_flow(Walk *walk, const Flow *flow, const float *frames, int count, float **out) {
    int channels = flow->channels, half = channels / 2, most = count + 2 * flow->lag;
    float *rooms[2] = { take(walk, most, channels), take(walk, most, channels) };
    float *taken = take(walk, most, half);
    const float *rows = frames;
    for (int i = 0; i < flow->couplings; i++) {
        Place place = open_place(walk, rooms[i % 2], channels, 0, count);
        SHARED_ROWS(row, count)
            for (int channel = 0; channel < channels; channel++)
                place.put[(size_t)row * channels + channel] =
                    rows[(size_t)row * channels + channels - 1 - channel];
        meet();
        count = couple(walk, flow, flow->coupling + i, place.put, channels, count, taken);
        close_place(walk, &place, count);
        SHARED_ROWS(row, count) {
            float *to = place.rows + (size_t)row * channels + half;
            for (int channel = 0; channel < half; channel++)
                to[channel] -= taken[(size_t)row * half + channel];
        }
        meet();
        rows = *out = place.rows;
    }
    return count;
}

#endif
