/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* CRC-32 (IEEE 802.3, as zlib): of files; the link and the store use it, too. Without a table: a checksum is the rest
 * of a division by a polynomial P, and a multiple of P leaves it as it is. x^216 + x^195 + x^185 + x^141 + x^62 + 1 is
 * a multiple, so a word may be taken out of the message if it is added again 21, 31, 75, 154 and 216 bits later. Seven
 * words hold what is due later; a word of the message costs 12 instructions of a Cortex-M3 or later beside the loop,
 * whose shifts are free. The last words go the long way, bit by bit, and with them what is due there. (Bits of a
 * message count from the lowest of each byte, so that later means to the left within a word.) */
#include "dqnn/dqnn.h"

enum { DUE_WORDS = 7 };
static const uint32_t P = 0xEDB88320; /* from x^31 down to 1, as bits count here */

uint32_t dqnn_crc32(const void *data, uint32_t bytes) {
  const uint32_t *word = data;
  uint32_t crc = 0xFFFFFFFF, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0; /* due in this word and the six behind it */
  uint32_t words = (uintptr_t)data % 4 == 0 && bytes / 4 > DUE_WORDS ? bytes / 4 - DUE_WORDS : 0;
  for (const uint32_t *end = word + words; word != end;) {
    uint32_t v = crc ^ *word++;
    v ^= (v ^ v << 10) << 21;     /* 21, 31: what stays in this word is taken out with it ... */
    crc = b ^ (v ^ v >> 10) >> 1; /* ... and the rest of both */
    b = c ^ v << 11;              /* 75 */
    c = d ^ v >> 21;
    d = e ^ v << 26; /* 154 */
    e = f ^ v >> 6;
    f = g ^ v << 24; /* 216 */
    g = v >> 8;
  }
  const uint32_t due[DUE_WORDS] = {0, b, c, d, e, f, g};
  const uint8_t *byte = (const void *)word, *later = (const void *)due;
  bytes -= 4 * words;
  for (uint32_t i = 0; i < bytes; ++i) {
    crc ^= byte[i];
    if (i < sizeof due) {
      crc ^= later[i];
    }
    for (uint32_t bit = 0; bit < 8; ++bit) {
      crc = crc >> 1 ^ (P & (0u - (crc & 1)));
    }
  }
  return ~crc;
}
