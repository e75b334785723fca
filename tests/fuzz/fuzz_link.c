/* libFuzzer target: whatever may arrive on a link, at a device with a store. The input is a list of parts, each a byte
 * that tells how to send it, a byte with its length, and its bytes: as they are, or (odd first byte) framed with a
 * right checksum, so that the requests behind the frames are reached. Every answer must be a sound frame, whatever runs
 * must be a file that passes every check, and the device must start again afterwards. */
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "dqnn/dqnn_link.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_RUNS = 3, FRAME = 256 };

static const geometry small = {"fuzzed", 1024, 8, 4096, 0, 0xFF};

/* Of runs as many as a fuzzer has time for. */
static void send_framed(wire *w, const uint8_t *part, uint32_t bytes) {
  uint8_t content[256] = {0};
  memcpy(content, part, bytes);
  bytes = bytes < 8 ? 8 : bytes;
  if (content[0] == LINK_INVOKE && bytes >= 12) {
    content[8] %= MOST_RUNS + 1;
    memset(content + 9, 0, 3);
  }
  uint16_t index;
  uint32_t offset;
  memcpy(&index, content + 2, sizeof index);
  memcpy(&offset, content + 4, sizeof offset);
  wire_send(w, content[0], content[1], index, offset, content + 8, bytes - 8);
}

static void check_running(const device *d, const dqnn_interpreter *it) {
  dqnn_model_info info;
  if (it != NULL &&
      (dqnn_model_of(it, &info) != DQNN_OK || dqnn_verify(info.file, info.file_bytes, &d->options, NULL) != DQNN_OK)) {
    abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static device d;
  static wire w;
  wire_answer answer;
  static blob factory;
  if (factory.bytes == NULL) {
    factory = blob_load(DQNN_FUZZ_BLOBS, "tested_old.dqnn");
  }
  device_make(&d, &small);
  d.config.factory = factory.bytes;
  d.config.factory_bytes = factory.size;
  device_on(&d);
  const dqnn_slots slots = dqnn_store_slots(&d.store);
  wire_open(&w, d.options, DEVICE_MEMORY, FRAME, &slots, NULL, 0);
  for (size_t at = 0; at + 2 <= size;) {
    uint32_t left = (uint32_t)(size - at - 2), bytes = data[at + 1] < left ? data[at + 1] : left;
    if ((data[at] & 1) != 0) {
      send_framed(&w, data + at + 2, bytes);
    } else {
      wire_send_raw(&w, data + at + 2, bytes);
    }
    wire_run(&w);
    while (wire_receive(&w, &answer)) {
    }
    check_running(&d, dqnn_link_interpreter(&w.link));
    at += 2 + bytes;
  }
  wire_close(&w);
  device_on(&d);
  if (d.status != DQNN_OK) {
    abort();
  }
  check_running(&d, d.it);
  device_free(&d);
  return 0;
}
