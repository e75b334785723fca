/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The signature hook of dqnn_options for Ed25519 (RFC 8032), as `dqnn sign` makes it: 64 bytes at the signature offset,
 * over everything before them, the prefix included. An object beside the interpreter; the arithmetic on the curve is
 * Monocypher's, which the build is told where to find (docs/security.md). No heap, no globals; 2 KB of stack. */
#ifndef DQNN_ED25519_H
#define DQNN_ED25519_H

#include "dqnn.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DQNN_ED25519_KEY_BYTES 32u
#define DQNN_ED25519_SIGNATURE_BYTES 64u

/* Public keys, any of which may have signed: one, or the next one besides while keys are changed. Zero keys refuse all.
 * A constant of the firmware, as `dqnn keygen --header` writes it. */
typedef struct {
  const uint8_t (*keys)[DQNN_ED25519_KEY_BYTES];
  uint32_t count;
} dqnn_ed25519_keys;

/* For dqnn_options.signature, with a dqnn_ed25519_keys as signature_context. False for an unsigned file, too. */
bool dqnn_ed25519_signature(void *context, const void *file, size_t file_bytes, const void *signature,
                            size_t signature_bytes);

#ifdef __cplusplus
}
#endif
#endif
