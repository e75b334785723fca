/* A link on a desk: two byte queues between a test and the device's code, and a second implementation of LINK.md's
 * frames to talk through them. Blocks of memory have exactly the promised sizes, for AddressSanitizer. */
#ifndef DQNN_TEST_WIRE_H
#define DQNN_TEST_WIRE_H

#include "dqnn/dqnn_link.h"

enum { WIRE_BYTES = 1 << 15 };

enum {
  LINK_HELLO = 1,
  LINK_MODEL,
  LINK_NODES,
  LINK_WRITE,
  LINK_INVOKE,
  LINK_READ,
  LINK_RESET,
  LINK_SLOT,
  LINK_BEGIN,
  LINK_BLOCK,
  LINK_VERIFY,
  LINK_ACTIVATE,
  LINK_CONFIRM,
  LINK_ROLLBACK
};

typedef struct {
  uint8_t command, sequence;
  uint16_t status;
  uint32_t value, bytes;
  uint8_t data[2048];
} wire_answer;

typedef struct {
  dqnn_link link;
  dqnn_link_config config;
  dqnn_options options;
  uint8_t to_device[WIRE_BYTES], from_device[WIRE_BYTES];
  uint32_t sent, taken, answered, seen;
  uint32_t clock, tick; /* the clock goes on by `tick` whenever it is read */
  uint32_t resets;
  uint8_t sequence;
} wire;

/* A device with these kernels, this much memory and frame buffer; slots may be NULL. Loads `file`. */
void wire_open(wire *w, dqnn_options options, uint32_t memory_bytes, uint32_t frame_bytes, const dqnn_slots *slots,
               const void *file, uint32_t file_bytes);
void wire_close(wire *w);

/* Lays bytes on the wire as they are, or as a frame. */
void wire_send_raw(wire *w, const void *data, uint32_t bytes);
void wire_send(wire *w, uint8_t command, uint8_t sequence, uint16_t index, uint32_t offset, const void *data,
               uint32_t bytes);

/* Lets the device do all it has got. */
void wire_run(wire *w);

/* The next answer; false if there is none. */
bool wire_receive(wire *w, wire_answer *answer);

/* Sends a request with the next sequence number and gives its status; aborts unless exactly one answer comes. */
uint16_t wire_ask(wire *w, wire_answer *answer, uint8_t command, uint16_t index, uint32_t offset, const void *data,
                  uint32_t bytes);

#endif
