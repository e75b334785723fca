/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The outputs of kernels/mve: those of epilogue.h on vectors. */
#ifndef DQNN_MVE_EPILOGUE_H
#define DQNN_MVE_EPILOGUE_H

#include "../opt/epilogue.h"

#define DQNN_EMIT_MVE(function) function##_mve
DQNN_EMITTERS(DQNN_EMIT_MVE)

/* All of an s8 output into the range of a fused activation of a convolution, if that is narrower than a byte's. */
void dqnn_clamp_mve(const dqnn_call *call);

#endif
