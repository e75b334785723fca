/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Ed25519 around Monocypher's check of the equation S B = R + h A: h is the SHA-512 of R, A and the message, which
 * Monocypher's own signatures take from BLAKE2b. */
#include "dqnn/dqnn_ed25519.h"

#include "monocypher.h"
#include "sha512.h"

enum { POINT_BYTES = 32 };

static bool signed_with(const uint8_t *key, const void *file, size_t file_bytes, const uint8_t *signature) {
  dqnn_sha512 hash;
  uint8_t digest[DQNN_SHA512_BYTES], h[POINT_BYTES];
  dqnn_sha512_init(&hash);
  dqnn_sha512_update(&hash, signature, POINT_BYTES);
  dqnn_sha512_update(&hash, key, POINT_BYTES);
  dqnn_sha512_update(&hash, file, file_bytes);
  dqnn_sha512_final(&hash, digest);
  crypto_eddsa_reduce(h, digest);
  return crypto_eddsa_check_equation(signature, key, h) == 0;
}

bool dqnn_ed25519_signature(void *context, const void *file, size_t file_bytes, const void *signature,
                            size_t signature_bytes) {
  const dqnn_ed25519_keys *keys = context;
  if (keys == NULL || signature == NULL || signature_bytes != DQNN_ED25519_SIGNATURE_BYTES) {
    return false;
  }
  for (uint32_t i = 0; i < keys->count; ++i) {
    if (signed_with(keys->keys[i], file, file_bytes, signature)) {
      return true;
    }
  }
  return false;
}
