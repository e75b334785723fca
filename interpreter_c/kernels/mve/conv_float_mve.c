/* conv_{f32,s8,s1}_f32_{s1,s8,f32} with the vectors of isa/mve_float.h: four channels of up to four pixels. */
#define DQNN_MVE
#define NAME(function) function##_mve
#include "isa/mve_float.h"

#include "kernels/opt/conv_float.c"
