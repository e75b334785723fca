/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Reader of the FlatBuffer subset that dqnn.fbs uses: tables of scalars, structs, strings, vectors of scalars and
 * structs, and vectors of tables. First the whole buffer is checked with dqnn_fb_check_*, then it is read with the
 * unchecked accessors; positions are offsets from the start of the buffer, whose address is 16-byte aligned, so that an
 * aligned position is an aligned address. Only little-endian machines can read a file in place. */
#ifndef DQNN_FLATBUFFER_H
#define DQNN_FLATBUFFER_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__BIG_ENDIAN__) || (defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) || \
    (defined(__ICCARM__) && !__LITTLE_ENDIAN__)
#error "dqnn needs a little-endian target"
#endif

typedef struct {
  const uint8_t *base;
  uint32_t size; /* below 2^31 */
} dqnn_fb;

/* What a slot of a table holds. */
typedef enum { DQNN_FB_INLINE, DQNN_FB_VECTOR, DQNN_FB_STRING } dqnn_fb_kind;

typedef struct {
  uint8_t kind : 2;
  uint8_t align : 6; /* of the scalar or struct, of a vector's element */
  uint8_t size;      /* likewise */
} dqnn_fb_field;

/* The root table's position, or 0 if the buffer is too small or has another identifier (4 characters, as a
 * little-endian word). */
uint32_t dqnn_fb_check_root(const dqnn_fb *fb, uint32_t identifier);

/* A table, its vtable and what its slots point to lie inside the buffer and are aligned. Slots beyond `count` are
 * fields appended by newer versions and are ignored; for vectors of tables this checks the vector, not the tables. */
bool dqnn_fb_check_table(const dqnn_fb *fb, uint32_t table, const dqnn_fb_field *fields, uint32_t count);

/* The same for all tables of the vector in a slot of an already checked table. */
bool dqnn_fb_check_tables(const dqnn_fb *fb, const void *table, uint32_t slot, const dqnn_fb_field *fields,
                          uint32_t count);

/* Unchecked from here on: only for what was checked before. A slot that is absent reads as NULL, 0 or "". */
const void *dqnn_fb_inline(const void *table, uint32_t slot);
uint32_t dqnn_fb_u16(const void *table, uint32_t slot);
uint32_t dqnn_fb_u32(const void *table, uint32_t slot);
const char *dqnn_fb_string(const void *table, uint32_t slot);
/* First element of a vector and their number. */
const void *dqnn_fb_vector(const void *table, uint32_t slot, uint32_t *count);
/* Table number i of a vector of tables. */
const void *dqnn_fb_table(const uint32_t *vector, uint32_t i);

#endif
