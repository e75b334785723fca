/* Eight pixels in 256-bit registers. */
#define WIDTH 8
#define NAME(function) function##_avx2
#include "kernels/wide/conv_bitsliced_body.h"
