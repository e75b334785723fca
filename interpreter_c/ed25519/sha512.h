/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* SHA-512 (FIPS 180-4) of a message that comes in parts. Small rather than fast: a schedule of 16 words, rolled. */
#ifndef DQNN_SHA512_H
#define DQNN_SHA512_H

#include <stddef.h>
#include <stdint.h>

enum { DQNN_SHA512_BYTES = 64, DQNN_SHA512_BLOCK = 128 };

typedef struct {
  uint64_t state[8], bytes;
  uint8_t block[DQNN_SHA512_BLOCK];
} dqnn_sha512;

void dqnn_sha512_init(dqnn_sha512 *hash);
void dqnn_sha512_update(dqnn_sha512 *hash, const void *data, size_t bytes);
void dqnn_sha512_final(dqnn_sha512 *hash, uint8_t digest[DQNN_SHA512_BYTES]);

#endif
