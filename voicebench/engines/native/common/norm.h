/* Layer normalisation: each row to mean 0 and variance 1, then a gain and a bias a channel. */

#ifndef VOICEBENCH_NORM_H
#define VOICEBENCH_NORM_H

#include "reading.h"
#include "walk.h"

typedef struct {
    float *gain, *bias;
} Norm;

static void read_norm(Reader *reader, Norm *norm, int channels) {
    norm->gain = read_floats(reader, channels);
    norm->bias = read_floats(reader, channels);
}

static void release_norm(Norm *norm) {
    free(norm->gain);
    free(norm->bias);
}

static void normalise_row(const float *from, int channels, const Norm *norm, float epsilon,
                          float *to) {
    float sum = 0, squares = 0;
    for (int i = 0; i < channels; i++) sum += from[i];
    float mean = sum / (float)channels;
    for (int i = 0; i < channels; i++) squares += (from[i] - mean) * (from[i] - mean);
    float scale = 1 / sqrtf(squares / (float)channels + epsilon);
    for (int i = 0; i < channels; i++) to[i] = (from[i] - mean) * scale * norm->gain[i] + norm->bias[i];
}

static void normalise_rows(float *rows, int count, int channels, const Norm *norm, float epsilon) {
    SHARED(row, count) {
        float *here = rows + (size_t)row * channels;
        normalise_row(here, channels, norm, epsilon, here);
    }
    meet();
}

#endif
