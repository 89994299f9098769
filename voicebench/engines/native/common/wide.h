/* As many floats at once as the processor has room for, and the functions that a voice needs. */

#ifndef VOICEBENCH_WIDE_H
#define VOICEBENCH_WIDE_H

#include "numbers.h"

#if defined(__AVX512F__)
enum { WIDE = 16 };
#else
enum { WIDE = 8 };
#endif

typedef float wide __attribute__((vector_size(4 * WIDE)));
typedef int32_t wide_int __attribute__((vector_size(4 * WIDE)));

static inline wide load(const float *numbers) {
    wide loaded;
    memcpy(&loaded, numbers, sizeof loaded);
    return loaded;
}

static inline void store(float *numbers, wide stored) { memcpy(numbers, &stored, sizeof stored); }

static inline wide all(float number) { return number - (wide){ 0 }; }

static inline wide pick(wide_int where, wide yes, wide no) {
    return (wide)(((wide_int)yes & where) | ((wide_int)no & ~where));
}

static inline wide magnitude(wide x) { return (wide)((wide_int)x & INT32_MAX); }

static inline wide leaky(wide x, float slope) { return pick(x > all(0), x, x * all(slope)); }

/* e to the power x, within 3e-7 of it: 2 to a whole power times a polynomial of what is left. The
 * coefficients are the Taylor series of e^r with the last ones adjusted for |r| <= ln(2) / 2
 * (Cephes, expf). */
static inline wide exponential(wide x) {
    x = pick(x < all(-87.0f), all(-87.0f), x);
    x = pick(x > all(87.0f), all(87.0f), x);
    wide turns = x * all(1.44269504088896f);
    wide_int half = ((wide_int)turns & INT32_MIN) | (wide_int)all(0.5f);
    wide_int whole = __builtin_convertvector(turns + (wide)half, wide_int);
    turns = __builtin_convertvector(whole, wide);
    wide rest = x - turns * all(0.693359375f) + turns * all(2.12194440e-4f);
    wide power = all(1.9875691500e-4f);
    power = power * rest + all(1.3981999507e-3f);
    power = power * rest + all(8.3334519073e-3f);
    power = power * rest + all(4.1665795894e-2f);
    power = power * rest + all(1.6666665459e-1f);
    power = power * rest + all(5.0000001201e-1f);
    power = power * rest * rest + rest + all(1.0f);
    return power * (wide)((whole + 127) << 23);
}

/* The same of eight numbers. */
static inline vec8 exponential8(vec8 x) {
    wide widened = { 0 };
    memcpy(&widened, &x, sizeof x);
    widened = exponential(widened);
    memcpy(&x, &widened, sizeof x);
    return x;
}

static inline wide sigmoid(wide x) { return all(1) / (all(1) + exponential(-x)); }

static inline wide hyperbolic_tangent(wide x) {
    /* Near zero the difference of two numbers near one would keep few digits of the result. */
    wide square = x * x, large = all(1) - all(2) / (exponential(x + x) + all(1));
    wide small = x * (all(1) + square * (all(-0.333333333f) + square * (all(0.133333333f) +
                 square * all(-0.0539682540f))));
    return pick(square < all(0.01f), small, large);
}

/* x times the share of a normal distribution below it. The error function is Abramowitz and
 * Stegun's 7.1.26, within 1.5e-7. */
static inline wide gelu(wide x) {
    wide size = magnitude(x) * all(0.70710678118654752f);
    wide t = all(1) / (all(1) + all(0.3275911f) * size);
    wide tail = t * (all(0.254829592f) + t * (all(-0.284496736f) + t * (all(1.421413741f) +
                t * (all(-1.453152027f) + t * all(1.061405429f)))));
    wide below = all(0.5f) * tail * exponential(-size * size);
    return x * pick(x < all(0), below, all(1) - below);
}

/* Sums over any number of floats; what is left of whole vectors is taken one by one. */
static inline float dot(const float *one, const float *other, int count) {
    wide sums = { 0 }, more = { 0 };
    int i = 0;
    for (; i + 2 * WIDE <= count; i += 2 * WIDE) {
        sums += load(one + i) * load(other + i);
        more += load(one + i + WIDE) * load(other + i + WIDE);
    }
    sums += more;
    float sum = 0;
    for (int lane = 0; lane < WIDE; lane++) sum += sums[lane];
    for (; i < count; i++) sum += one[i] * other[i];
    return sum;
}

#endif
