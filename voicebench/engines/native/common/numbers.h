/* Numbers: half precision, and eight floats at once in the vector types of GCC and Clang, which
 * both translate to whatever the processor has. */

#ifndef VOICEBENCH_NUMBERS_H
#define VOICEBENCH_NUMBERS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <immintrin.h>
#define HAVE_AVX2 1
#endif

enum { LANES = 8 };
typedef float vec8 __attribute__((vector_size(32)));
typedef int32_t ivec8 __attribute__((vector_size(32)));
typedef int32_t ivec4 __attribute__((vector_size(16)));

static inline vec8 load8(const float *numbers) {
    vec8 loaded;
    memcpy(&loaded, numbers, sizeof loaded);
    return loaded;
}

static inline void store8(float *numbers, vec8 stored) { memcpy(numbers, &stored, sizeof stored); }

static inline vec8 all8(float number) {
    return (vec8){ number, number, number, number, number, number, number, number };
}

static inline vec8 choose8(ivec8 where, vec8 yes, vec8 no) {
    return (vec8)(((ivec8)yes & where) | ((ivec8)no & ~where));
}

static inline vec8 larger8(vec8 one, vec8 other) {
#if defined(HAVE_AVX2)
    return (vec8)_mm256_max_ps((__m256)one, (__m256)other);
#else
    return choose8(one > other, one, other);
#endif
}

static inline vec8 size8(vec8 numbers) {
    return (vec8)((ivec8)numbers & (ivec8){ INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX,
                                                INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX });
}

static inline ivec8 nearest8(vec8 numbers) {
    vec8 half = (vec8)(((ivec8)numbers & INT32_MIN) | (ivec8)all8(0.5f));
    return __builtin_convertvector(numbers + half, ivec8);
}

static inline ivec4 lower4(ivec8 numbers) {
    ivec4 half;
    memcpy(&half, &numbers, sizeof half);
    return half;
}

static inline ivec4 upper4(ivec8 numbers) {
    ivec4 half;
    memcpy(&half, (const char *)&numbers + sizeof half, sizeof half);
    return half;
}

static inline float sum8(vec8 numbers) {
    float sum = 0;
    for (int i = 0; i < LANES; i++) sum += numbers[i];
    return sum;
}

static inline float largest8(vec8 numbers) {
#if defined(HAVE_AVX2)
    __m256 half = _mm256_max_ps((__m256)numbers, _mm256_permute2f128_ps((__m256)numbers,
                                                                        (__m256)numbers, 1));
    __m256 quarter = _mm256_max_ps(half, _mm256_permute_ps(half, 0x4e)); /* 2, 3, 0, 1 */
    return _mm256_cvtss_f32(_mm256_max_ps(quarter, _mm256_permute_ps(quarter, 0xb1)));
#else
    float most = numbers[0];
    for (int i = 1; i < LANES; i++) most = numbers[i] > most ? numbers[i] : most;
    return most;
#endif
}

static inline float from_half(uint16_t half) {
#if defined(HAVE_AVX2)
    return _cvtsh_ss(half);
#else
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, rest = half & 0x7fffu, bits;
    float number;
    if (rest >= 0x7c00u) {
        bits = sign | 0x7f800000u | (rest & 0x3ffu) << 13;
    } else if (rest >= 0x400u) {
        bits = sign | ((rest << 13) + 0x38000000u);
    } else { /* subnormal: a multiple of 2^-24 */
        number = (float)rest * 5.9604644775390625e-08f;
        return sign ? -number : number;
    }
    memcpy(&number, &bits, sizeof number);
    return number;
#endif
}

static inline uint16_t to_half(float number) {
#if defined(HAVE_AVX2)
    return _cvtss_sh(number, _MM_FROUND_TO_NEAREST_INT);
#else
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    float size = fabsf(number);
    if (!(size < 65520.0f)) return sign | 0x7c00u;
    if (size < 6.103515625e-05f) return sign | (uint16_t)lrintf(size * 16777216.0f);
    bits = (bits & 0x7fffffffu) - 0x38000000u;
    bits += 0xfffu + (bits >> 13 & 1u); /* round to nearest, ties to even */
    return sign | (uint16_t)(bits >> 13);
#endif
}

/* Rounds to nearest, ties to even; what is no number stays none. */
static inline uint16_t to_bfloat(float number) {
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    if (number != number) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static inline float from_bfloat(uint16_t upper) {
    uint32_t bits = (uint32_t)upper << 16;
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

#endif
