/* Sixteen pixels in 512-bit registers. */
#define WIDTH 16
#define NAME(function) function##_avx512
#include "kernels/wide/conv_bitsliced_body.h"
