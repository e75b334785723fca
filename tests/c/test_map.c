/* What is taken from formulas instead of walking there: which taps of a window lie inside the map, where border classes
 * begin, and how far the output of a first layer may lie on its input. Compared with the walk, on small axes of all
 * kinds. */
#include "kernels/map.h"
#include "kernels/opt/conv_first.h"
#include "kernels/opt/geometry.h"
#include "test.h"

int test_failures;
const char *test_label;

static int32_t draw(uint32_t *state, int32_t low, int32_t high) {
  *state = *state * 1664525u + 1013904223u;
  return low + (int32_t)((*state >> 8) % (uint32_t)(high - low + 1));
}

static dqnn_taps taps_by_walk(const dqnn_axis *axis, int32_t output) {
  dqnn_taps inside = {0, 0};
  for (int32_t tap = 0; tap < axis->kernel; ++tap) {
    int32_t index;
    if (dqnn_tap(axis, output, tap, &index) == DQNN_INSIDE) {
      inside.first = inside.end == 0 ? tap : inside.first;
      inside.end = tap + 1;
    }
  }
  return inside;
}

/* Plans divide, kernels step. */
static void test_taps(const dqnn_axis *axis, int32_t outputs) {
  for (int32_t o = 0; o < outputs; ++o) {
    dqnn_taps wanted = taps_by_walk(axis, o);
    int32_t at = o * axis->stride - axis->pad;
    CHECK(dqnn_same_taps(dqnn_inside_of(axis, o), wanted));
    CHECK(dqnn_same_taps(dqnn_taps_inside(at, axis->kernel, axis->dilation, axis->size), wanted));
  }
}

/* Every class is met, in at most two steps for each tap. */
static void test_classes(const dqnn_axis *axis, int32_t outputs) {
  int32_t classes = 0, steps = 0, next = dqnn_next_class(axis, 0);
  for (int32_t o = 1; o < outputs; ++o) {
    classes += dqnn_class_begins(axis, o);
    CHECK_EQUAL(dqnn_class_of(axis, o), classes);
    CHECK(!dqnn_class_begins(axis, o) || o == next);
    if (o == next) {
      next = dqnn_next_class(axis, o);
      ++steps;
    }
    CHECK(next > o);
  }
  CHECK(steps <= 2 * axis->kernel);
}

static void test_axes(void) {
  uint32_t state = 1;
  for (int i = 0; i < 20000; ++i) {
    const dqnn_axis axis = {.size = draw(&state, 1, 20),
                            .kernel = draw(&state, 1, 9),
                            .stride = draw(&state, 1, 4),
                            .dilation = draw(&state, 1, i % 4 == 0 ? 30 : 3),
                            .pad = draw(&state, 0, 40),
                            .up = 1};
    test_classes(&axis, 80);
    test_taps(&axis, 80);
  }
  const dqnn_axis longest = {.size = 1 << 30, .kernel = 3, .stride = 1, .dilation = 65535, .pad = 65535, .up = 1};
  CHECK_EQUAL(dqnn_class_of(&longest, (1 << 30) - 1), 2);
}

/* First byte that the windows of pooled pixel (y, x) and of the later ones of its row read. */
static int64_t first_read(const dqnn_conv *v, int32_t y, int32_t x, uint32_t cell) {
  int32_t row = 2 * y - v->y.pad, column = 2 * x - v->x.pad;
  return ((int64_t)(row < 0 ? 0 : row) * v->x.size + (column < 0 ? 0 : column)) * cell;
}

static uint32_t overlap_by_walk(const dqnn_conv *v, uint32_t cell) {
  int64_t written = 0;
  for (int32_t y = 0; y < v->pooled_h; ++y) {
    for (int32_t x = 0; x < v->pooled_w; ++x) {
      written += 4;
      int below = y + 1 < v->pooled_h && written > first_read(v, y + 1, 0, cell);
      int beside = x + 1 < v->pooled_w && written > first_read(v, y, x + 1, cell);
      if (below || beside) {
        return 0;
      }
    }
  }
  return (uint32_t)written;
}

static void test_overlap(void) {
  uint32_t state = 2, allowed = 0;
  for (int i = 0; i < 20000; ++i) {
    dqnn_conv v = {.out_c = 32, .pooled_h = draw(&state, 1, 9), .pooled_w = draw(&state, 1, 12)};
    uint32_t cell = i % 2 == 0 ? 4 : 1;
    v.y.pad = draw(&state, 0, i % 3);
    v.x.pad = draw(&state, 0, i % 5);
    v.x.size = 2 * v.pooled_w + draw(&state, -1, i % 7 == 0 ? 40 : 3);
    uint32_t found = dqnn_first_overlap(&v, cell);
    CHECK_EQUAL(found, overlap_by_walk(&v, cell));
    allowed += found != 0;
  }
  CHECK(allowed > 1000 && allowed < 19000);
}

int main(void) {
  test_axes();
  test_overlap();
  return test_failures != 0;
}
