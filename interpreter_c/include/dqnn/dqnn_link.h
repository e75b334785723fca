/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* A model on a device, from a computer: over any byte stream (UART, USB, TCP) the other side asks what the device is,
 * writes inputs, runs the model, reads outputs, times and inner tensors, and replaces the model in the device's slots.
 * schema/LINK.md is the protocol, byte by byte; dqnn.link (Python) and `dqnn device` are the other side.
 *
 * An object beside the interpreter, which never needs it. No heap, no globals, no interrupts of its own: the
 * application calls dqnn_link_poll from its main loop or a task. Requests may be lost, doubled, cut or garbage: a
 * damaged one is dropped, a repeated one is answered and not done twice. All sizes are in bytes unless said otherwise.
 */
#ifndef DQNN_LINK_H
#define DQNN_LINK_H

#include "dqnn_slots.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DQNN_LINK_PROTOCOL 1u    /* version of LINK.md */
#define DQNN_LINK_FRAME_MIN 128u /* least frame buffer: every answer but of bulk data fits */
#define DQNN_LINK_FRAME_MAX 65535u
#define DQNN_LINK_OVERHEAD 12u /* of a frame's content: header and checksum */

/* Must stay as it is while the link is in use. What is NULL or 0 is a thing the device cannot do. */
typedef struct {
  void *context; /* passed to the callbacks */
  /* What has arrived, at most `bytes` of it; 0 if there is nothing now. Must not wait. Required. */
  uint32_t (*read)(void *context, uint8_t *data, uint32_t bytes);
  /* Sends all of it; may wait until there is room. Required. */
  void (*write)(void *context, const uint8_t *data, uint32_t bytes);
  /* A counter that wraps at 2^32, with clock_hz ticks a second: cycles, best. No node may take 2^32 of them. */
  uint32_t (*clock)(void *context);
  uint32_t clock_hz;
  /* Starts the device anew. An answer was written just before: let it leave. Need not return. */
  void (*reset)(void *context);
  const dqnn_options *options; /* required; its profile hook is called, too (a watchdog may be fed there) */
  void *memory;                /* for the interpreter, 16-byte aligned. What a model leaves of it holds the times of its
                                  nodes, copies of its inputs, and traced tensors, as far as there is room */
  uint32_t memory_bytes;
  void *frame;              /* 8-byte aligned; holds a request or an answer */
  uint32_t frame_bytes;     /* DQNN_LINK_FRAME_MIN to DQNN_LINK_FRAME_MAX; 256 to 2048 suit a UART */
  const dqnn_slots *slots;  /* NULL: the model cannot be replaced */
  const char *core, *board; /* names, of which 20 characters each are told */
} dqnn_link_config;

/* The state of a link; its fields are its own. */
typedef struct {
  const dqnn_link_config *config;
  dqnn_interpreter *it; /* NULL: no model is loaded */
  struct {              /* the frame that is being received */
    uint32_t bytes;
    uint8_t code, left; /* COBS: the current block's first byte, and how many more it has */
    bool spoilt;
  } in;
  uint32_t requests, dropped; /* since the start */
  struct {                    /* the last request that was done */
    uint32_t crc;
    uint16_t bytes; /* of its answer, 0 if it may simply be done again */
    uint8_t answer[16];
  } last;
  struct { /* the model */
    dqnn_status status;
    dqnn_fault fault;
    uint32_t nodes, inputs, outputs;
    uint64_t *ticks; /* per node; NULL: no room */
    uint8_t *copies; /* of all inputs; NULL: no room */
    uint8_t *spare;  /* for traced tensors */
    uint32_t spare_bytes;
    uint32_t written; /* a bit per input (the first 32) that is ready to be run */
  } model;
  struct { /* of nodes */
    uint64_t ticks;
    uint32_t since; /* the clock when it was last read */
    uint32_t traced, offset;
    uint32_t captured; /* bytes in spare */
    uint32_t whole;    /* bytes of the traced tensor */
  } run;
} dqnn_link;

/* Prepares a link and loads a model: the one that config->slots start, or without slots the file given here, NULL for
 * none. A model that is refused leaves a link without one, which tells why to who asks.
 * Returns DQNN_OK, or ARGUMENT or ALIGNMENT if the config itself is wrong. */
dqnn_status dqnn_link_init(dqnn_link *link, const dqnn_link_config *config, const void *file, uint32_t file_bytes);

/* Reads what has arrived and does at most one request. True if it read anything: call again at once. */
bool dqnn_link_poll(dqnn_link *link);

/* The interpreter, for the application's own use between two polls: NULL if no model is loaded. A poll may replace it
 * (after an upload), and leaves inputs and outputs as its own last run did. */
dqnn_interpreter *dqnn_link_interpreter(const dqnn_link *link);

#ifdef __cplusplus
}
#endif
#endif
