/* The outputs of kernels/mve: a file that includes this, and then a template of kernels/opt, has the template call the
 * functions of epilogue_mve.c wherever it says dqnn_emit... */
#ifndef DQNN_MVE_EPILOGUE_H
#define DQNN_MVE_EPILOGUE_H

#include "../opt/epilogue.h"

#define DQNN_EMIT_MVE(function) function##_mve
DQNN_EMITTERS(DQNN_EMIT_MVE)

#define dqnn_emit_s8 dqnn_emit_s8_mve
#define dqnn_emit_f32 dqnn_emit_f32_mve
#define dqnn_emit_float_s8 dqnn_emit_float_s8_mve
#define dqnn_emit_float_f32 dqnn_emit_float_f32_mve
#define dqnn_emit_s1 dqnn_emit_s1_mve
#define dqnn_emit_float_s1 dqnn_emit_float_s1_mve
#define dqnn_emit dqnn_emit_mve
#define dqnn_emit_float dqnn_emit_float_mve

#endif
