/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* A firmware that holds a model, runs it for a computer, and lets it be replaced: the link and the store around
 * port.h. It knows no model and has every kernel; a product passes a kernel set of its own, and calls the interpreter
 * between two polls (dqnn_link_interpreter). */
#include "dqnn/dqnn_link.h"

#include <string.h>

#include "dqnn/dqnn_kernels.h"
#include "port.h"

#ifdef DQNN_KEYS
#include DQNN_KEYS
#endif

#ifndef DQNN_FRAME_BYTES
#define DQNN_FRAME_BYTES 1024
#endif

static uint32_t on_read(void *context, uint8_t *data, uint32_t bytes) {
  (void)context;
  return port_read(data, bytes);
}

static void on_write(void *context, const uint8_t *data, uint32_t bytes) {
  (void)context;
  port_write(data, bytes);
}

static uint32_t on_clock(void *context) {
  (void)context;
  return port_clock();
}

static void on_reset(void *context) {
  (void)context;
  port_reset();
}

/* The model that was flashed beside the firmware; empty flash is none. */
static const void *factory(uint32_t *bytes) {
  const void *file = port_factory(bytes);
  return file != NULL && *bytes >= DQNN_PREFIX_BYTES && memcmp(file, "DQNN", 4) == 0 ? file : NULL;
}

int main(void) {
  static _Alignas(8) uint8_t frame[DQNN_FRAME_BYTES];
  static dqnn_options options;
  static dqnn_store_config flash;
  static dqnn_store store;
  static dqnn_slots slots;
  static dqnn_link_config config = {
      .read = on_read,
      .write = on_write,
      .clock = on_clock,
      .reset = on_reset,
      .options = &options,
      .frame = frame,
      .frame_bytes = sizeof frame,
  };
  static dqnn_link link;
  uint32_t bytes = 0;

  port_start();
  options.kernels = dqnn_all_kernels;
  options.kernel_count = dqnn_all_kernel_count;
  options.segments = &dqnn_strips;
#ifdef DQNN_KEYS
  options.signature = dqnn_ed25519_signature;
  options.signature_context = &dqnn_keys;
#endif
  const void *file = factory(&bytes);
  config.clock_hz = port_clock_hz();
  config.core = port_core();
  config.board = port_board();
  config.memory = port_memory(&config.memory_bytes);
  if (port_slots() != NULL) {
    flash = *port_slots();
    flash.factory = file;
    flash.factory_bytes = bytes;
    if (dqnn_store_open(&store, &flash) == DQNN_OK) {
      slots = dqnn_store_slots(&store);
      config.slots = &slots;
    }
  }
  if (dqnn_link_init(&link, &config, file, bytes) != DQNN_OK) {
    port_reset(); /* the port's sizes or alignment are wrong: nothing to talk with */
  }
  for (;;) {
    if (!dqnn_link_poll(&link)) {
      port_idle();
    }
  }
}
