/* depthwise_f32_f32_{s1,s8,f32} with the vectors of isa/mve_float.h: four channels at a time. */
#define DQNN_MVE
#define NAME(function) function##_mve
#include "isa/mve_float.h"

#include "kernels/opt/depthwise_float.c"
