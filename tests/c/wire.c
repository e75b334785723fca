/* See wire.h. */
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"

static void *allocate(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, DQNN_ALIGNMENT, bytes) != 0) {
    abort();
  }
  memset(memory, 0xA5, bytes);
  return memory;
}

static uint32_t on_read(void *context, uint8_t *data, uint32_t bytes) {
  wire *w = context;
  uint32_t there = w->sent - w->taken, count = there < bytes ? there : bytes;
  memcpy(data, w->to_device + w->taken, count);
  w->taken += count;
  return count;
}

static void on_write(void *context, const uint8_t *data, uint32_t bytes) {
  wire *w = context;
  if (bytes > WIRE_BYTES - w->answered) {
    abort();
  }
  memcpy(w->from_device + w->answered, data, bytes);
  w->answered += bytes;
}

static uint32_t on_clock(void *context) {
  wire *w = context;
  return w->clock += w->tick;
}

static void on_reset(void *context) {
  wire *w = context;
  ++w->resets;
}

void wire_open(wire *w, dqnn_options options, uint32_t memory_bytes, uint32_t frame_bytes, const dqnn_slots *slots,
               const void *file, uint32_t file_bytes) {
  memset(w, 0, sizeof *w);
  w->options = options;
  w->tick = 10;
  w->config = (dqnn_link_config){
      .context = w,
      .read = on_read,
      .write = on_write,
      .clock = on_clock,
      .clock_hz = 168000000,
      .reset = on_reset,
      .options = &w->options,
      .memory = allocate(memory_bytes),
      .memory_bytes = memory_bytes,
      .frame = allocate(frame_bytes),
      .frame_bytes = frame_bytes,
      .slots = slots,
      .core = "cortex-m4",
      .board = "a board whose name is long",
  };
  if (dqnn_link_init(&w->link, &w->config, file, file_bytes) != DQNN_OK) {
    abort();
  }
}

void wire_close(wire *w) {
  free(w->config.memory);
  free(w->config.frame);
}

void wire_send_raw(wire *w, const void *data, uint32_t bytes) {
  if (w->taken == w->sent) {
    w->taken = w->sent = 0;
  }
  if (bytes > WIRE_BYTES - w->sent) {
    abort();
  }
  memcpy(w->to_device + w->sent, data, bytes);
  w->sent += bytes;
}

/* Encodes backwards: each block's length is known when its first byte is written. */
static uint32_t cobs(const uint8_t *content, uint32_t bytes, uint8_t *out) {
  uint32_t code_at = 0, n = 1;
  for (uint32_t i = 0; i < bytes; ++i) {
    if (content[i] != 0) {
      out[n++] = content[i];
    }
    bool full = n - code_at == 0xFF;
    if (content[i] == 0 || (full && i + 1 < bytes)) {
      out[code_at] = (uint8_t)(n - code_at);
      code_at = n++;
    }
  }
  out[code_at] = (uint8_t)(n - code_at);
  out[n++] = 0;
  return n;
}

void wire_send(wire *w, uint8_t command, uint8_t sequence, uint16_t index, uint32_t offset, const void *data,
               uint32_t bytes) {
  static uint8_t content[WIRE_BYTES], frame[WIRE_BYTES + WIRE_BYTES / 128];
  content[0] = command;
  content[1] = sequence;
  memcpy(content + 2, &index, 2);
  memcpy(content + 4, &offset, 4);
  if (bytes != 0) {
    memcpy(content + 8, data, bytes);
  }
  uint32_t crc = blob_crc(content, 8 + bytes);
  memcpy(content + 8 + bytes, &crc, 4);
  wire_send_raw(w, frame, cobs(content, 12 + bytes, frame));
}

void wire_run(wire *w) {
  while (dqnn_link_poll(&w->link)) {
  }
}

/* Decodes a block at a time; 0 if the frame is damaged. */
static uint32_t uncobs(const uint8_t *frame, uint32_t bytes, uint8_t *out) {
  uint32_t n = 0, at = 0;
  while (at < bytes) {
    uint32_t code = frame[at++];
    if (code == 0 || at + code - 1 > bytes) {
      return 0;
    }
    memcpy(out + n, frame + at, code - 1);
    n += code - 1;
    at += code - 1;
    if (code < 0xFF && at < bytes) {
      out[n++] = 0;
    }
  }
  return n;
}

bool wire_receive(wire *w, wire_answer *answer) {
  static uint8_t content[WIRE_BYTES];
  uint32_t crc;
  while (w->seen < w->answered && w->from_device[w->seen] == 0) {
    ++w->seen;
  }
  uint32_t end = w->seen;
  while (end < w->answered && w->from_device[end] != 0) {
    ++end;
  }
  if (end == w->answered) {
    w->seen = w->answered = 0;
    return false;
  }
  uint32_t bytes = uncobs(w->from_device + w->seen, end - w->seen, content);
  w->seen = end;
  if (bytes < 12 || bytes - 12 > sizeof answer->data) {
    abort();
  }
  memcpy(&crc, content + bytes - 4, 4);
  if (crc != blob_crc(content, bytes - 4)) {
    abort();
  }
  answer->command = content[0];
  answer->sequence = content[1];
  memcpy(&answer->status, content + 2, 2);
  memcpy(&answer->value, content + 4, 4);
  answer->bytes = bytes - 12;
  memcpy(answer->data, content + 8, answer->bytes);
  return true;
}

uint16_t wire_ask(wire *w, wire_answer *answer, uint8_t command, uint16_t index, uint32_t offset, const void *data,
                  uint32_t bytes) {
  wire_answer unwanted, none;
  answer = answer != NULL ? answer : &unwanted;
  wire_send(w, command, ++w->sequence, index, offset, data, bytes);
  wire_run(w);
  if (!wire_receive(w, answer) || wire_receive(w, &none) || answer->command != (command | 0x80) ||
      answer->sequence != w->sequence) {
    (void)fprintf(stderr, "command %u: not exactly one answer\n", command);
    abort();
  }
  return answer->status;
}
