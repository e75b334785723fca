/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* COBS (Cheshire and Baker, 1999), decoded byte by byte into the frame buffer as bytes arrive, and encoded out of it as
 * they leave: no second buffer. */
#include "frames.h"

#include <string.h>

#include "../src/model.h"

enum { LONGEST = 0xFF, CRC_BYTES = 4 };

static void put(dqnn_link *link, uint8_t byte) {
  uint8_t *frame = link->config->frame;
  if (link->in.bytes < link->config->frame_bytes) {
    frame[link->in.bytes++] = byte;
  } else {
    link->in.spoilt = true;
  }
}

/* At a frame's end: is it sound? One without any byte is none: zeros may separate frames as often as one likes. */
static bool complete(dqnn_link *link) {
  const uint8_t *frame = link->config->frame;
  uint32_t bytes = link->in.bytes, crc;
  if (link->in.code == 0) {
    return false;
  }
  if (!link->in.spoilt && link->in.left == 0 && bytes >= DQNN_LINK_OVERHEAD) {
    memcpy(&crc, frame + bytes - CRC_BYTES, CRC_BYTES);
    if (crc == dqnn_crc32(frame, bytes - CRC_BYTES)) {
      return true;
    }
  }
  ++link->dropped;
  return false;
}

bool dqnn_frames_take(dqnn_link *link, uint8_t byte) {
  if (byte == 0) {
    bool whole = complete(link);
    link->in.code = link->in.left = 0;
    link->in.spoilt = false;
    if (!whole) {
      link->in.bytes = 0;
    }
    return whole;
  }
  if (link->in.code == 0) {
    link->in.bytes = 0; /* a new frame begins */
  }
  if (link->in.left > 0) {
    --link->in.left;
    put(link, byte);
    return false;
  }
  if (link->in.code != 0 && link->in.code != LONGEST) {
    put(link, 0);
  }
  link->in.code = byte;
  link->in.left = (uint8_t)(byte - 1);
  return false;
}

static void write_byte(const dqnn_link *link, uint8_t byte) {
  link->config->write(link->config->context, &byte, 1);
}

void dqnn_frames_send(const dqnn_link *link, uint32_t bytes) {
  uint8_t *frame = link->config->frame;
  uint32_t crc = dqnn_crc32(frame, bytes);
  memcpy(frame + bytes, &crc, CRC_BYTES);
  const uint8_t *next = frame, *end = frame + bytes + CRC_BYTES;
  bool more = true;
  write_byte(link, 0); /* ends whatever noise came before */
  while (more) {
    uint32_t run = 0;
    while (run < LONGEST - 1 && next + run < end && next[run] != 0) {
      ++run;
    }
    write_byte(link, (uint8_t)(run + 1));
    link->config->write(link->config->context, next, run);
    next += run;
    more = next < end;
    if (more && run < LONGEST - 1) {
      ++next; /* the zero that the block stands for */
    }
  }
  write_byte(link, 0);
}
