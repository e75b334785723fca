/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What the runner needs to know of the machine it is on; each port defines it. */
#ifndef DQNN_PORT_BOARD_H
#define DQNN_PORT_BOARD_H

#include <stdint.h>

typedef struct {
  const uint8_t *model; /* where the .dqnn file lies, 16-byte aligned */
  uint32_t model_bytes; /* room there */
  uint8_t *memory;      /* for the interpreter, 16-byte aligned */
  uint32_t memory_bytes;
  uint32_t *stack_limit; /* lowest word of the stack */
} board_info;

board_info board(void);

/* A clock that counts up, in ticks of the emulated core; how many instructions a tick is, is the host's business. */
void board_clock_start(void);
uint64_t board_clock(void);

/* The runner, called by the startup code with a prepared C environment. The result is the exit code. */
int run(void);

/* Reports a crash and exits: called by the exception handlers. */
_Noreturn void run_crashed(uint32_t exception, uint32_t pc, uint32_t cause, uint32_t address);

#endif
