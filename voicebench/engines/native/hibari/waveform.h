/* From the decoder's numbers to samples: a pulse train, noise and an inverse Fourier transform.
 *
 * voicebench/engines/tts/hibari/spectrum.py holds the formulas and the same in numpy, and is what
 * this is checked against. As many frames as a vector has lanes are computed at once. */

#ifndef VOICEBENCH_HIBARI_WAVEFORM_H
#define VOICEBENCH_HIBARI_WAVEFORM_H

#include <stdlib.h>

#include "fourier.h"

enum { RATE = 24000, HOP = 300, OVERLAP = FFT / HOP, KEPT = OVERLAP - 1 /* frames */, PARTS = 5 };
enum { MOST_SOURCE = (WIDE + 2 * OVERLAP) * HOP };
#define LEAST_PITCH 40.0f
#define HIGHEST_HARMONIC 11000.0f
#define LARGEST_LOG 7.0f

/* The waveform of an utterance, and what its next frames need of the ones before. */
typedef struct {
    float *pitch; /* of all frames */
    int frames;
    int pulsed, taken, given; /* frames */
    double phase;             /* of the pulses, in turns */
    int have;                 /* samples in `source` */
    float source[MOST_SOURCE];
    float sums[(WIDE + KEPT) * HOP], weights[(WIDE + KEPT) * HOP];
} Waveform;

static float hann[FFT];
static pthread_once_t hann_once = PTHREAD_ONCE_INIT;

static void fill_hann(void) {
    for (int i = 0; i < FFT; i++) hann[i] = (float)(0.5 - 0.5 * cos(TURN * i / FFT));
}

/* ------------------------------------------------------------------ sines */

/* What is left of turns without the whole ones: -0.5 to 0.5. */
static inline wide part_of_turn(wide turns) {
    wide_int half = ((wide_int)turns & INT32_MIN) | (wide_int)all(0.5f);
    return turns - __builtin_convertvector(__builtin_convertvector(turns + (wide)half, wide_int), wide);
}

/* The sine of an angle in turns, -0.5 to 0.5, within 2e-7. Beyond a quarter turn it falls again; the
 * polynomial is the Taylor series with the last coefficients adjusted (Cephes, sinf and cosf). */
static inline wide sine(wide turns) {
    wide size = magnitude(turns);
    size = pick(size > all(0.25f), all(0.5f) - size, size);
    wide low = size * all(6.283185307f), low_square = low * low;
    wide high = (all(0.25f) - size) * all(6.283185307f), high_square = high * high;
    wide near = low + low * low_square * (all(-1.6666654611e-1f) + low_square *
                (all(8.3321608736e-3f) + low_square * all(-1.9515295891e-4f)));
    wide far = all(1) - all(0.5f) * high_square + high_square * high_square *
               (all(4.166664568298827e-2f) + high_square * (all(-1.388731625493765e-3f) +
                high_square * all(2.443315711809948e-5f)));
    wide found = pick(size > all(0.125f), far, near);
    return (wide)((wide_int)found | ((wide_int)turns & INT32_MIN));
}

static inline wide cosine(wide turns) {
    return sine(all(0.25f) - magnitude(turns)); /* -0.25 to 0.25 */
}

/* ------------------------------------------------------------------ pulses */

static float pitch_of(const Waveform *waveform, int frame) {
    int last = waveform->frames - 1;
    return waveform->pitch[frame < 0 ? 0 : frame > last ? last : frame];
}

/* Write the pulses of the next frame, or only go past them if `to` is NULL. */
static void pulse_frame(Waveform *waveform, float *to) {
    enum { PADDED = (HOP + WIDE - 1) / WIDE * WIDE };
    float pitch[PADDED], parts[PADDED], many[PADDED], halves[PADDED];
    float before = pitch_of(waveform, waveform->pulsed - 1);
    float here = pitch_of(waveform, waveform->pulsed);
    float behind = pitch_of(waveform, waveform->pulsed + 1);
    for (int i = 0; i < HOP / 2; i++) {
        float share = (float)((i + 0.5) / HOP + 0.5), rest = (float)((i + 0.5) / HOP);
        pitch[i] = before * (1 - share) + here * share;
        pitch[HOP / 2 + i] = here * (1 - rest) + behind * rest;
    }
    double turns[PADDED], phase = waveform->phase;
    for (int i = 0; i < HOP; i++) {
        phase += (double)(pitch[i] > LEAST_PITCH ? pitch[i] : LEAST_PITCH) / RATE;
        turns[i] = phase;
    }
    waveform->phase = phase - floor(phase);
    waveform->pulsed++;
    if (!to) return;
    for (int i = HOP; i < PADDED; i++) turns[i] = pitch[i] = 0;
    for (int i = 0; i < PADDED; i++) {
        double part = turns[i] - floor(turns[i]);
        float least = pitch[i] > LEAST_PITCH ? pitch[i] : LEAST_PITCH;
        float harmonics = floorf(HIGHEST_HARMONIC / least) + 0.5f;
        double high = part * (double)harmonics;
        many[i] = harmonics;
        halves[i] = (float)(part * 0.5);
        parts[i] = (float)(high - floor(high + 0.5));
    }
    float pulses[PADDED];
    for (int i = 0; i < PADDED; i += WIDE) {
        wide below = all(2) * sine(load(halves + i)), above = sine(load(parts + i));
        wide_int peak = magnitude(below) <= all(2e-3f);
        wide found = pick(peak, load(many + i), above / pick(peak, all(1), below)) - all(0.5f);
        store(pulses + i, pick(load(pitch + i) > all(LEAST_PITCH), found, all(0)));
    }
    memcpy(to, pulses, HOP * sizeof *to);
}

/* See that `source` has the samples around the next `count` frames. The end of the utterance is
 * mirrored. */
static void fill_source(Waveform *waveform, int count) {
    int wanted = (count + KEPT) * HOP;
    while (waveform->have < wanted && waveform->pulsed < waveform->frames) {
        pulse_frame(waveform, waveform->source + waveform->have);
        waveform->have += HOP;
    }
    int end = waveform->have;
    for (int i = 0; end + i < wanted; i++) {
        int from = end - 2 - i;
        waveform->source[end + i] = waveform->source[from > 0 ? from : 0];
    }
    if (waveform->have < wanted) waveform->have = wanted;
}

/* ------------------------------------------------------------------ frames */

/* Load number `at` of each of `count` rows; a lane beyond them has the first row's. */
static inline wide across(const float *rows, size_t stride, int count, int at) {
    wide loaded;
    for (int lane = 0; lane < WIDE; lane++)
        loaded[lane] = rows[(lane < count ? lane : 0) * stride + at];
    return loaded;
}

static inline wide size_of(wide logarithm) {
    return exponential(pick(logarithm > all(LARGEST_LOG), all(LARGEST_LOG), logarithm));
}

/* Make the spectra of frames of the spectra of their pulses. */
static void shape_spectra(Complex *spectrum, const float *parts, const float *noise, int count) {
    const size_t line = PARTS * BINS, drawn = 2 * BINS;
    for (int k = 0; k < BINS; k++) {
        wide harmonic = size_of(across(parts, line, count, k));
        wide turn = hyperbolic_tangent(across(parts + BINS, line, count, k)) * all(0.5f);
        wide loud = size_of(across(parts + 2 * BINS, line, count, k));
        wide rest = size_of(across(parts + 3 * BINS, line, count, k));
        wide phase = across(parts + 4 * BINS, line, count, k) * all(0.15915494309189535f);
        phase = part_of_turn(phase);
        Complex pulse = spectrum[k];
        wide re = harmonic * cosine(turn), im = harmonic * sine(turn);
        spectrum[k].re = pulse.re * re - pulse.im * im + rest * cosine(phase) +
                         loud * across(noise, drawn, count, 2 * k);
        spectrum[k].im = pulse.re * im + pulse.im * re + rest * sine(phase) +
                         loud * across(noise, drawn, count, 2 * k + 1);
    }
}

/* Add the windowed pieces of `count` frames, each HOP samples behind the one before. */
static void overlap(Waveform *waveform, const Complex *pairs, int count) {
    for (int i = 0; i < FFT; i += 2) {
        float one[WIDE], other[WIDE];
        store(one, pairs[i / 2].re * all(hann[i]));
        store(other, pairs[i / 2].im * all(hann[i + 1]));
        for (int lane = 0; lane < count; lane++) {
            waveform->sums[lane * HOP + i] += one[lane];
            waveform->sums[lane * HOP + i + 1] += other[lane];
        }
    }
    for (int lane = 0; lane < count; lane++)
        for (int i = 0; i < FFT; i++) waveform->weights[lane * HOP + i] += hann[i] * hann[i];
}

/* Write the samples that these frames complete, and return how many frames they are. */
static int give_samples(Waveform *waveform, int count, float *samples) {
    int begun = waveform->taken - OVERLAP / 2; /* the frame that the first of the sums is part of */
    waveform->taken += count;
    int until = waveform->taken - OVERLAP / 2;
    if (waveform->taken == waveform->frames) until = waveform->frames;
    if (until < waveform->given) until = waveform->given;
    int first = (waveform->given - begun) * HOP, given = until - waveform->given;
    for (int i = 0; i < given * HOP; i++) {
        float weight = waveform->weights[first + i];
        samples[i] = waveform->sums[first + i] / (weight > 1e-11f ? weight : 1e-11f);
    }
    waveform->given = until;
    size_t kept = KEPT * HOP, added = (size_t)count * HOP;
    memmove(waveform->sums, waveform->sums + added, kept * sizeof(float));
    memmove(waveform->weights, waveform->weights + added, kept * sizeof(float));
    memset(waveform->sums + kept, 0, added * sizeof(float));
    memset(waveform->weights + kept, 0, added * sizeof(float));
    return given;
}

static int add_frames(Waveform *waveform, const float *parts, const float *noise, int count,
                      float *samples) {
    Complex one[HALF + 1], other[HALF + 1];
    float scale = 4.0f / FFT; /* a cosine of amplitude 1 has a peak of 1 in its spectrum */
    fill_source(waveform, count);
    for (int i = 0; i < FFT; i += 2) {
        one[i / 2].re = across(waveform->source, HOP, count, i) * all(hann[i] * scale);
        one[i / 2].im = across(waveform->source, HOP, count, i + 1) * all(hann[i + 1] * scale);
    }
    to_spectrum(one, other);
    shape_spectra(other, parts, noise, count);
    from_spectrum(other, one);
    overlap(waveform, one, count);
    waveform->have -= count * HOP;
    memmove(waveform->source, waveform->source + count * HOP, waveform->have * sizeof(float));
    return give_samples(waveform, count, samples);
}

/* ------------------------------------------------------------------ to Python */

void voicebench_hibari_waveform_end(Waveform *waveform) {
    if (waveform) free(waveform->pitch);
    free(waveform);
}

/* Begin the waveform of `frames` frames of a pitch in Hz, without the first `first` of them (0, or
 * OVERLAP / 2 or more). Return NULL if there is no memory. */
Waveform *voicebench_hibari_waveform_begin(const float *pitch, int32_t frames, int32_t first) {
    pthread_once(&turned_once, fill_turned);
    pthread_once(&hann_once, fill_hann);
    Waveform *waveform = calloc(1, sizeof *waveform);
    float *own = malloc((frames + !frames) * sizeof *own);
    if (!waveform || !own) {
        free(waveform);
        free(own);
        return NULL;
    }
    memcpy(own, pitch, frames * sizeof *own);
    waveform->pitch = own;
    waveform->frames = frames;
    waveform->taken = waveform->given = first;
    if (first) {
        while (waveform->pulsed < first - OVERLAP / 2) pulse_frame(waveform, NULL);
        return waveform;
    }
    /* The beginning of the utterance is mirrored. */
    float *source = waveform->source + HALF;
    int fresh = frames < KEPT ? frames : KEPT;
    for (int i = 0; i < fresh; i++) pulse_frame(waveform, source + i * HOP);
    for (int i = 1; fresh && i <= HALF; i++)
        source[-i] = source[1 + (i - 1) % (fresh * HOP - 1)];
    waveform->have = HALF + fresh * HOP;
    return waveform;
}

/* Take the parts (frame, 5 * 601) of the next frames and their noise (frame, 1202). Write the
 * samples that they complete; return how many. */
int32_t voicebench_hibari_waveform_add(Waveform *waveform, const float *parts, const float *noise,
                                       int32_t count, float *samples) {
    int given = 0;
    for (int done = 0; done < count; done += WIDE) {
        int some = count - done < WIDE ? count - done : WIDE;
        given += add_frames(waveform, parts + (size_t)done * PARTS * BINS,
                            noise + (size_t)done * 2 * BINS, some, samples + (size_t)given * HOP);
    }
    return given * HOP;
}

#endif
