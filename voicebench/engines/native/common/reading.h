/* The weights as they come from Python: a list of float32 arrays, in the order of the network. */

#ifndef VOICEBENCH_READING_H
#define VOICEBENCH_READING_H

#include "convolutions.h"

typedef struct {
    const float *const *arrays;
    int left, failed;
} Reader;

static const float *next_array(Reader *reader) {
    if (reader->left <= 0) {
        reader->failed = 1;
        return NULL;
    }
    reader->left--;
    return *reader->arrays++;
}

/* Read a convolution: its weights (tap, input, output) and its bias. */
static void read_weights(Reader *reader, Weights *weights, int kind, int taps, int dilation,
                         int inputs, int outputs) {
    const float *numbers = next_array(reader), *bias = next_array(reader);
    if (reader->failed) return;
    if (!take_weights(weights, kind, taps, dilation, inputs, outputs, numbers, bias))
        reader->failed = 1;
}

/* Read some floats that are kept as they are. */
static float *read_floats(Reader *reader, size_t count) {
    const float *numbers = next_array(reader);
    float *own = reader->failed ? NULL : malloc(count * sizeof *own);
    if (own) memcpy(own, numbers, count * sizeof *own);
    else reader->failed = 1;
    return own;
}

#endif
