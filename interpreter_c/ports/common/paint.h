/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* High-water marks: memory is painted, used, and looked at again. */
#ifndef DQNN_PORT_PAINT_H
#define DQNN_PORT_PAINT_H

#include <stdint.h>

/* Paints the free part of the stack, down to `limit`. */
void paint_stack(uint32_t *limit);

/* Bytes of stack used since paint_stack, from `top`, which the caller has taken as the address of a local. */
uint32_t painted_stack_used(const uint32_t *limit, const void *top);

#endif
