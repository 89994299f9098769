/* The text encoder: a transformer over the symbols, run once for an utterance. */

#ifndef VOICEBENCH_TEXT_H
#define VOICEBENCH_TEXT_H

#include "norm.h"

typedef struct {
    Weights joint, output, widen, narrow;
    float *near_keys, *near_values; /* (2 * reach + 1, width of a head) */
    Norm attention_norm, feed_norm;
} TextLayer;

typedef struct {
    int symbols, channels, feed_channels, layers, heads, kernel, reach, outputs;
    float epsilon;
    float *embedding; /* (symbol, channel) */
    TextLayer *layer;
    Weights project;
} Text;

static void read_text(Reader *reader, Text *text) {
    int channels = text->channels, width = channels / text->heads;
    text->embedding = read_floats(reader, (size_t)text->symbols * channels);
    text->layer = calloc(text->layers, sizeof *text->layer);
    if (!text->layer) reader->failed = 1;
    for (int i = 0; i < text->layers && !reader->failed; i++) {
        TextLayer *layer = text->layer + i;
        read_weights(reader, &layer->joint, FLOATS, 1, 1, channels, 3 * channels);
        read_weights(reader, &layer->output, FLOATS, 1, 1, channels, channels);
        layer->near_keys = read_floats(reader, (size_t)(2 * text->reach + 1) * width);
        layer->near_values = read_floats(reader, (size_t)(2 * text->reach + 1) * width);
        read_norm(reader, &layer->attention_norm, channels);
        read_weights(reader, &layer->widen, FLOATS, text->kernel, 1, channels, text->feed_channels);
        read_weights(reader, &layer->narrow, FLOATS, text->kernel, 1, text->feed_channels, channels);
        read_norm(reader, &layer->feed_norm, channels);
    }
    read_weights(reader, &text->project, FLOATS, 1, 1, channels, text->outputs);
}

static void release_text(Text *text) {
    for (int i = 0; text->layer && i < text->layers; i++) {
        TextLayer *layer = text->layer + i;
        release_weights(&layer->joint);
        release_weights(&layer->output);
        release_weights(&layer->widen);
        release_weights(&layer->narrow);
        release_norm(&layer->attention_norm);
        release_norm(&layer->feed_norm);
        free(layer->near_keys);
        free(layer->near_values);
    }
    free(text->layer);
    free(text->embedding);
    release_weights(&text->project);
}

/* Compute what one head of one symbol reads of all symbols. A pair at most `reach` apart adds to
 * its score the query times the embedding of their distance, and to what is read the attention
 * times a second embedding of it. `scores` is room for all symbols. */
static void attend(const Text *text, const TextLayer *layer, const float *joint, int count,
                   int symbol, int head, float *scores, float *read) {
    int channels = text->channels, width = channels / text->heads, line = 3 * channels;
    const float *query = joint + (size_t)symbol * line + head * width;
    const float *keys = joint + channels + head * width, *values = keys + channels;
    float scale = 1 / sqrtf((float)width), most = -INFINITY, total = 0;
    int near_from = symbol - text->reach, near_to = symbol + text->reach;
    for (int other = 0; other < count; other++) {
        float score = dot(query, keys + (size_t)other * line, width);
        if (other >= near_from && other <= near_to)
            score += dot(query, layer->near_keys + (size_t)(other - near_from) * width, width);
        scores[other] = score * scale;
        if (scores[other] > most) most = scores[other];
    }
    memset(read, 0, width * sizeof *read);
    for (int other = 0; other < count; other++) {
        float share = expf(scores[other] - most);
        const float *value = values + (size_t)other * line;
        const float *near = layer->near_values + (size_t)(other - near_from) * width;
        total += share;
        if (other >= near_from && other <= near_to)
            for (int i = 0; i < width; i++) read[i] += share * (value[i] + near[i]);
        else
            for (int i = 0; i < width; i++) read[i] += share * value[i];
    }
    for (int i = 0; i < width; i++) read[i] /= total;
}

/* A convolution over all symbols that keeps their number: `padded` has room for the zeros. */
static float *padded_rows(Walk *walk, int count, int channels, int kernel, float **inner) {
    int before = (kernel - 1) / 2, after = kernel / 2;
    float *rows = take(walk, count + before + after, channels);
    *inner = rows + (size_t)before * channels;
    if (walk->thread == 0) {
        memset(rows, 0, (size_t)before * channels * sizeof *rows);
        memset(*inner + (size_t)count * channels, 0, (size_t)after * channels * sizeof *rows);
    }
    return rows;
}

/* Write hidden (symbol, channel) and the prior's mean and scale (symbol, 2 * half the outputs). */
static void encode_text(Walk *walk, const Text *text, const int64_t *ids, int count, float *hidden,
                        float *prior) {
    int channels = text->channels, feed = text->feed_channels;
    float root = sqrtf((float)channels);
    float *joint = take(walk, count, 3 * channels), *read = take(walk, count, channels);
    float *narrow_in, *widen_in;
    float *around = padded_rows(walk, count, channels, text->kernel, &widen_in);
    float *fed = padded_rows(walk, count, feed, text->kernel, &narrow_in);
    float *scores = take(walk, crew.threads, count) + (size_t)walk->thread * count;
    SHARED_ROWS(row, count)
        for (int i = 0; i < channels; i++)
            hidden[(size_t)row * channels + i] = root * text->embedding[ids[row] * channels + i];
    meet();
    for (const TextLayer *layer = text->layer; layer < text->layer + text->layers; layer++) {
        product(&layer->joint, hidden, channels, count, &(Goal){ joint, 3 * channels, 0, 0, 0 });
        SHARED(piece, count * text->heads) {
            int symbol = piece / text->heads, head = piece % text->heads;
            attend(text, layer, joint, count, symbol, head, scores,
                   read + (size_t)symbol * channels + head * (channels / text->heads));
        }
        meet();
        product(&layer->output, read, channels, count, &(Goal){ hidden, channels, 0, 0, 1 });
        normalise_rows(hidden, count, channels, &layer->attention_norm, text->epsilon);
        copy_rows(hidden, channels, count, channels, widen_in);
        product(&layer->widen, around, channels, count, &(Goal){ narrow_in, feed, 0, 0, 0 });
        SHARED_ROWS(row, count)
            for (int i = 0; i < feed; i++) {
                float *number = narrow_in + (size_t)row * feed + i;
                *number = *number > 0 ? *number : 0;
            }
        meet();
        product(&layer->narrow, fed, feed, count, &(Goal){ hidden, channels, 0, 0, 1 });
        normalise_rows(hidden, count, channels, &layer->feed_norm, text->epsilon);
    }
    product(&text->project, hidden, channels, count, &(Goal){ prior, text->outputs, 0, 0, 0 });
    int half = text->outputs / 2;
    SHARED_ROWS(row, count)
        for (int i = half; i < text->outputs; i++) {
            float *number = prior + (size_t)row * text->outputs + i;
            *number = expf(*number);
        }
    meet();
}

#endif
