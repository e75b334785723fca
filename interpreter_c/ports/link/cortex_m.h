/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What every Cortex-M port shares. cortex_m.c starts the C environment and calls main; a fault starts the board anew.
 * Of port.h it has port_read and port_idle, over a ring of received bytes, port_clock, port_core, port_board,
 * port_memory and port_factory. */
#ifndef DQNN_PORT_CORTEX_M_H
#define DQNN_PORT_CORTEX_M_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* Called for every interrupt of the chip; one of the port's. It hands over what the UART received. */
void port_interrupt(void);
void cortex_m_received(uint8_t byte);

/* Lets the chip's interrupt number n through. */
void cortex_m_enable(uint32_t n);

/* Starts to count the core's cycles: with the DWT unit, or with SysTick where there is none. */
void cortex_m_count(void);

_Noreturn void cortex_m_reset(void);

#endif
