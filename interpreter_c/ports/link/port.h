/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* All that main.c asks of a board: a dozen functions. docs/porting.md goes through them. */
#ifndef DQNN_PORT_H
#define DQNN_PORT_H

#include "dqnn/dqnn_store.h"

/* Clocks, caches, the UART with its pins, a cycle counter. Called once, before all others. */
void port_start(void);

/* What has arrived, at most `bytes` of it; 0 if there is nothing now. Must not wait. */
uint32_t port_read(uint8_t *data, uint32_t bytes);

/* Sends all of it; may wait until there is room. */
void port_write(const uint8_t *data, uint32_t bytes);

/* Nothing has arrived: the application's own work, or sleep until an interrupt. May return at once. */
void port_idle(void);

/* A counter that wraps at 2^32, and its ticks per second: cycles of the core, best. */
uint32_t port_clock(void);
uint32_t port_clock_hz(void);

/* Starts the board anew, after what port_write took has left. */
_Noreturn void port_reset(void);

/* Names, for people: "cortex-m4" (as in interpreter_c/cmake, so that `dqnn bench` finds its timing model), the board.
 */
const char *port_core(void);
const char *port_board(void);

/* Memory for the interpreter, 16-byte aligned. What a model leaves of it holds copies, times and traces. */
void *port_memory(uint32_t *bytes);

/* A model that was flashed with the firmware, 16-byte aligned, and the room there; NULL: none. */
const void *port_factory(uint32_t *bytes);

/* Slots for models; NULL: the model cannot be replaced. */
const dqnn_store_config *port_slots(void);

#endif
