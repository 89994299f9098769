/* Fourier transforms of 1,200 real numbers, of as many rows at once as a vector has lanes.
 *
 * Each lane is a row of its own, so the code is that of one transform. The even and the odd numbers
 * of a row are the real and the imaginary parts of 600 complex numbers; their transform, by
 * Stockham's method (Van Loan 1992, section 1.7), gives the 601 numbers of the spectrum.
 */

#ifndef VOICEBENCH_FOURIER_H
#define VOICEBENCH_FOURIER_H

#include <pthread.h>

#include "wide.h"

enum { FFT = 1200, HALF = FFT / 2, BINS = HALF + 1 };
#define TURN 6.28318530717958647692

typedef struct {
    wide re, im;
} Complex;

static float turned[FFT][2]; /* cosine and sine of so many parts of a turn */
static pthread_once_t turned_once = PTHREAD_ONCE_INIT;

static void fill_turned(void) {
    for (int i = 0; i < FFT; i++) {
        turned[i][0] = (float)cos(TURN * i / FFT);
        turned[i][1] = (float)sin(TURN * i / FFT);
    }
}

static inline Complex plus(Complex one, Complex other) {
    return (Complex){ one.re + other.re, one.im + other.im };
}

static inline Complex minus(Complex one, Complex other) {
    return (Complex){ one.re - other.re, one.im - other.im };
}

/* Turn a number by so many parts of a turn, clockwise. */
static inline Complex turn_back(Complex number, int parts) {
    wide cosine = all(turned[parts][0]), sine = all(turned[parts][1]);
    return (Complex){ number.re * cosine + number.im * sine, number.im * cosine - number.re * sine };
}

static inline Complex quarter_back(Complex number) { return (Complex){ number.im, -number.re }; }

static inline Complex scaled(Complex number, float scale) {
    return (Complex){ number.re * all(scale), number.im * all(scale) };
}

/* Replace `radix` (2 to 5) numbers by their transform. */
static inline __attribute__((always_inline)) void small_transform(const int radix, Complex *x) {
    if (radix == 2) {
        Complex sum = plus(x[0], x[1]);
        x[1] = minus(x[0], x[1]);
        x[0] = sum;
    } else if (radix == 3) {
        Complex sum = plus(x[1], x[2]), across = scaled(minus(x[1], x[2]), 0.86602540378443865f);
        Complex middle = minus(x[0], scaled(sum, 0.5f)), side = quarter_back(across);
        x[0] = plus(x[0], sum);
        x[1] = plus(middle, side);
        x[2] = minus(middle, side);
    } else if (radix == 4) {
        Complex even = plus(x[0], x[2]), odd = plus(x[1], x[3]);
        Complex across = minus(x[0], x[2]), side = quarter_back(minus(x[1], x[3]));
        x[0] = plus(even, odd);
        x[1] = plus(across, side);
        x[2] = minus(even, odd);
        x[3] = minus(across, side);
    } else {
        const float near = 0.30901699437494742f, far = -0.80901699437494742f; /* cosines */
        const float high = 0.95105651629515357f, low = 0.58778525229247313f;  /* sines */
        Complex one = plus(x[1], x[4]), two = plus(x[2], x[3]);
        Complex three = minus(x[1], x[4]), four = minus(x[2], x[3]);
        Complex first = plus(x[0], plus(scaled(one, near), scaled(two, far)));
        Complex second = plus(x[0], plus(scaled(one, far), scaled(two, near)));
        Complex side = quarter_back(plus(scaled(three, high), scaled(four, low)));
        Complex other = quarter_back(minus(scaled(three, low), scaled(four, high)));
        x[0] = plus(x[0], plus(one, two));
        x[1] = plus(first, side);
        x[2] = plus(second, other);
        x[3] = minus(second, other);
        x[4] = minus(first, side);
    }
}

/* One pass over all numbers: `count` of them are left to transform, `stride` apart. */
static inline __attribute__((always_inline)) void pass(const int radix, int count, int stride,
                                                       const Complex *from, Complex *to) {
    int part = count / radix;
    for (int p = 0; p < part; p++)
        for (int q = 0; q < stride; q++) {
            Complex x[5];
            for (int k = 0; k < radix; k++) x[k] = from[q + stride * (p + part * k)];
            small_transform(radix, x);
            for (int j = 0; j < radix; j++)
                to[q + stride * (radix * p + j)] = turn_back(x[j], p * j * (FFT / count));
        }
}

/* Transform 600 complex numbers; `other` is room for as many. The result is in `other`. */
static void transform(Complex *numbers, Complex *other) {
    pass(5, 600, 1, numbers, other);
    pass(5, 120, 5, other, numbers);
    pass(4, 24, 25, numbers, other);
    pass(3, 6, 100, other, numbers);
    pass(2, 2, 300, numbers, other);
}

/* From 600 pairs of numbers to the 601 numbers of their spectrum, in `spectrum`, which is room for
 * them; the pairs are lost. */
static void to_spectrum(Complex *pairs, Complex *spectrum) {
    transform(pairs, spectrum);
    Complex first = spectrum[0];
    wide none = all(0);
    spectrum[0] = (Complex){ first.re + first.im, none };
    spectrum[HALF] = (Complex){ first.re - first.im, none };
    for (int k = 1; k <= HALF / 2; k++) {
        Complex one = spectrum[k], other = { spectrum[HALF - k].re, -spectrum[HALF - k].im };
        Complex even = scaled(plus(one, other), 0.5f);
        Complex odd = quarter_back(turn_back(scaled(minus(one, other), 0.5f), k));
        Complex far = minus(even, odd);
        spectrum[k] = plus(even, odd);
        spectrum[HALF - k] = (Complex){ far.re, -far.im };
    }
}

/* From the 601 numbers of a spectrum to the 600 pairs, in `pairs`; the spectrum is lost. What is
 * imaginary of its ends does not count. */
static void from_spectrum(Complex *spectrum, Complex *pairs) {
    const float scale = 1.0f / FFT;
    wide first = spectrum[0].re, last = spectrum[HALF].re;
    /* The inverse of a transform is the transform with both parts exchanged, before and after. */
    spectrum[0] = scaled((Complex){ first - last, first + last }, scale);
    for (int k = 1; k <= HALF / 2; k++) {
        Complex one = spectrum[k], other = { spectrum[HALF - k].re, -spectrum[HALF - k].im };
        Complex even = plus(one, other), odd = minus(one, other);
        Complex back = turn_back((Complex){ odd.im, odd.re }, k);
        odd = (Complex){ -back.re, back.im }; /* odd, turned forward, and by a quarter more */
        Complex near = plus(even, odd), far = minus(even, odd);
        spectrum[k] = scaled((Complex){ near.im, near.re }, scale);
        spectrum[HALF - k] = scaled((Complex){ -far.im, far.re }, scale);
    }
    transform(spectrum, pairs);
    for (int i = 0; i < HALF; i++) pairs[i] = (Complex){ pairs[i].im, pairs[i].re };
}

#endif
