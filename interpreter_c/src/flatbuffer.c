/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* FlatBuffer reader: bounds checks once, then plain pointers. Every position that is ever followed passes through
 * inside(), which is written so that no sum can wrap. */
#include "flatbuffer.h"

#include <stddef.h>
#include <string.h>

static uint32_t u16_at(const void *p) {
  return *(const uint16_t *)p;
}

static uint32_t u32_at(const void *p) {
  return *(const uint32_t *)p;
}

static bool inside(const dqnn_fb *fb, uint32_t at, uint32_t bytes, uint32_t align) {
  return bytes <= fb->size && at <= fb->size - bytes && (at & (align - 1)) == 0;
}

/* Follows the unsigned offset stored at `at`; 0 if that leads nowhere. */
static uint32_t follow(const dqnn_fb *fb, uint32_t at) {
  if (!inside(fb, at, 4, 4)) {
    return 0;
  }
  uint32_t offset = u32_at(fb->base + at);
  return offset < fb->size - at ? at + offset : 0;
}

static bool check_vector(const dqnn_fb *fb, uint32_t at, const dqnn_fb_field *field) {
  uint32_t vector = follow(fb, at);
  if (vector <= at || !inside(fb, vector, 4, 4)) {
    return false;
  }
  uint32_t count = u32_at(fb->base + vector);
  uint32_t first = vector + 4, room = fb->size - first;
  if ((uint64_t)count * field->size > room || (first & (field->align - 1u)) != 0) {
    return false;
  }
  return field->kind != DQNN_FB_STRING || (count < room && fb->base[first + count] == 0);
}

static bool check_field(const dqnn_fb *fb, uint32_t at, uint32_t room, const dqnn_fb_field *field) {
  if (field->kind == DQNN_FB_INLINE) {
    return field->size <= room && (at & (field->align - 1u)) == 0;
  }
  return room >= 4 && check_vector(fb, at, field);
}

uint32_t dqnn_fb_check_root(const dqnn_fb *fb, uint32_t identifier) {
  if (fb->size < 8 || u32_at(fb->base + 4) != identifier) {
    return 0;
  }
  return follow(fb, 0);
}

bool dqnn_fb_check_table(const dqnn_fb *fb, uint32_t table, const dqnn_fb_field *fields, uint32_t count) {
  if (table == 0 || !inside(fb, table, 4, 4)) {
    return false;
  }
  uint32_t vtable = table - u32_at(fb->base + table); /* signed in the format; wraps into or out of bounds alike */
  if (!inside(fb, vtable, 4, 2)) {
    return false;
  }
  const uint8_t *v = fb->base + vtable;
  uint32_t vtable_bytes = u16_at(v), table_bytes = u16_at(v + 2);
  if (vtable_bytes < 4 || (vtable_bytes & 1) != 0 || !inside(fb, vtable, vtable_bytes, 2) || table_bytes < 4 ||
      !inside(fb, table, table_bytes, 4)) {
    return false;
  }
  for (uint32_t slot = 0; slot < count && 4 + 2 * slot < vtable_bytes; ++slot) {
    uint32_t offset = u16_at(v + 4 + 2 * slot);
    if (offset != 0 &&
        (offset < 4 || offset > table_bytes || !check_field(fb, table + offset, table_bytes - offset, &fields[slot]))) {
      return false;
    }
  }
  return true;
}

bool dqnn_fb_check_tables(const dqnn_fb *fb, const void *table, uint32_t slot, const dqnn_fb_field *fields,
                          uint32_t count) {
  uint32_t tables;
  const uint8_t *vector = dqnn_fb_vector(table, slot, &tables);
  for (uint32_t i = 0; i < tables; ++i) {
    uint32_t at = (uint32_t)(vector - fb->base) + 4 * i;
    if (!dqnn_fb_check_table(fb, follow(fb, at), fields, count)) {
      return false;
    }
  }
  return true;
}

const void *dqnn_fb_inline(const void *table, uint32_t slot) {
  const uint8_t *t = table;
  const uint8_t *v = t - *(const int32_t *)table;
  uint32_t offset = 4 + 2 * slot < u16_at(v) ? u16_at(v + 4 + 2 * slot) : 0;
  return offset != 0 ? t + offset : NULL;
}

uint32_t dqnn_fb_u16(const void *table, uint32_t slot) {
  const void *field = dqnn_fb_inline(table, slot);
  return field != NULL ? u16_at(field) : 0;
}

uint32_t dqnn_fb_u32(const void *table, uint32_t slot) {
  const void *field = dqnn_fb_inline(table, slot);
  return field != NULL ? u32_at(field) : 0;
}

const void *dqnn_fb_vector(const void *table, uint32_t slot, uint32_t *count) {
  const uint8_t *field = dqnn_fb_inline(table, slot);
  if (field == NULL) {
    *count = 0;
    return NULL;
  }
  const uint8_t *vector = field + u32_at(field);
  *count = u32_at(vector);
  return vector + 4;
}

const char *dqnn_fb_string(const void *table, uint32_t slot) {
  uint32_t length;
  const char *string = dqnn_fb_vector(table, slot, &length);
  return string != NULL ? string : "";
}

const void *dqnn_fb_table(const uint32_t *vector, uint32_t i) {
  return (const uint8_t *)&vector[i] + vector[i];
}
