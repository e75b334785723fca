/* digits_larq: 13904 bytes, id 0xe99c40ba, version 0. Made by `dqnn inspect --c-array`. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
extern const uint8_t model[]; /* 16-byte aligned */
extern const size_t model_size;
#ifdef __cplusplus
}
#endif

#define MODEL_SIZE 13904 /* bytes, as model_size */
#define MODEL_MEMORY_BYTES 3996 /* what dqnn_init needs on a 32-bit core */
#define MODEL_ARENA_BYTES 3904 /* the part of it that interpreters may share */
#define MODEL_STATE_BYTES 92 /* the rest, on a 32-bit core */
#define MODEL_ID 0xe99c40bau
#define MODEL_VERSION 0
#define MODEL_INPUTS 1
#define MODEL_OUTPUTS 1

#define MODEL_INPUT0_NAME "quant_conv2d_input"
#define MODEL_INPUT0_DTYPE DQNN_F32
#define MODEL_INPUT0_RANK 3
#define MODEL_INPUT0_DIMS {28, 28, 1}
#define MODEL_INPUT0_ELEMENTS 784
#define MODEL_INPUT0_BYTES 3136
#define MODEL_INPUT0_SCALE 1.0f
#define MODEL_INPUT0_ZERO_POINT 0

#define MODEL_OUTPUT0_NAME "activation"
#define MODEL_OUTPUT0_DTYPE DQNN_F32
#define MODEL_OUTPUT0_RANK 1
#define MODEL_OUTPUT0_DIMS {10}
#define MODEL_OUTPUT0_ELEMENTS 10
#define MODEL_OUTPUT0_BYTES 40
#define MODEL_OUTPUT0_SCALE 1.0f
#define MODEL_OUTPUT0_ZERO_POINT 0

#endif
