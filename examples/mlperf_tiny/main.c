/* MLPerf Tiny's device: commands of a line, ended by '%', and answers that end with "m-ready", as mlcommons/tiny's
 * runner speaks them. Over port.h, so on every board of interpreter_c/ports/link; the model is the one that was flashed
 * beside the firmware. */
#include <string.h>

#include "dqnn/dqnn.h"
#include "dqnn/dqnn_kernels.h"
#include "port.h"

enum { LINE_BYTES = 128, SIGN = 0x80, DIGITS = 1000, MICROSECONDS = 1000000 };

typedef struct {
  dqnn_interpreter *it;
  dqnn_status status; /* of loading the model */
  dqnn_model_info model;
  uint8_t *bytes; /* what `db` was given, in the memory that the interpreter leaves */
  uint32_t room, expected, received;
  uint64_t ticks;
  uint32_t since;
} device;

/* ---- text ---- */

static void put(const char *text) {
  port_write((const uint8_t *)text, (uint32_t)strlen(text));
}

static void put_number(uint64_t number) {
  char digits[24], *at = digits + sizeof digits;
  *--at = 0;
  do {
    *--at = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  put(at);
}

/* With three decimals, as the reference device prints. */
static void put_real(float value) {
  if (!(value > -1e12f && value < 1e12f)) {
    put("nan"); /* or too large to say */
    return;
  }
  put(value < 0 ? "-" : "");
  uint64_t thousandths = (uint64_t)((value < 0 ? -value : value) * DIGITS + 0.5f);
  put_number(thousandths / DIGITS);
  put(".");
  for (uint32_t unit = DIGITS / 10; unit > 0; unit /= 10) {
    put_number(thousandths / unit % 10);
  }
}

static void fail(const char *why) {
  put("e-[");
  put(why);
  put("]\r\n");
}

/* After a word of a command: its number, or `otherwise` if there is none; the greatest for all that are too large. */
static uint32_t number_at(const char **at, uint32_t otherwise) {
  while (**at == ' ') {
    ++*at;
  }
  if (**at < '0' || **at > '9') {
    return otherwise;
  }
  uint32_t number = 0;
  for (; **at >= '0' && **at <= '9'; ++*at) {
    number = number < UINT32_MAX / 10 ? number * 10 + (uint32_t)(**at - '0') : UINT32_MAX;
  }
  return number;
}

/* What follows `word`; NULL if the text does not begin with it. */
static const char *after(const char *text, const char *word) {
  size_t length = strlen(word);
  return strncmp(text, word, length) == 0 && (text[length] == ' ' || text[length] == 0) ? text + length : NULL;
}

/* ---- time ---- */

/* The clock wraps: looked at before it has. */
static void look_at_clock(device *d) {
  uint32_t now = port_clock();
  d->ticks += now - d->since;
  d->since = now;
}

static void put_lap(device *d) {
  look_at_clock(d);
  put("m-lap-us-");
  put_number(d->ticks / port_clock_hz() * MICROSECONDS + d->ticks % port_clock_hz() * MICROSECONDS / port_clock_hz());
  put("\r\n");
}

/* ---- the model ---- */

static int hex(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

static void on_hex(device *d, const char *text) {
  for (; text[0] != 0; text += 2) {
    int high = hex(text[0]), low = high < 0 ? -1 : hex(text[1]);
    if (low < 0 || d->received == d->expected) {
      fail(low < 0 ? "not pairs of hexadecimal digits" : "more bytes than were announced");
      return;
    }
    d->bytes[d->received++] = (uint8_t)(high * 16 + low);
  }
  if (d->received == d->expected) {
    put("m-load-done\r\n");
  }
}

static void on_db(device *d, const char *text) {
  const char *count = after(text, "load");
  if (count == NULL) {
    on_hex(d, text);
    return;
  }
  uint32_t bytes = number_at(&count, 0);
  d->received = d->expected = 0;
  if (bytes == 0 || bytes > d->room) {
    fail("no room for so many bytes");
    return;
  }
  d->expected = bytes;
  put("m-[Expecting ");
  put_number(bytes);
  put(" bytes]\r\n");
}

/* The bytes that arrived, as the input: stored ones; uint8 samples of sensors; or, for floats, uint8 values. */
static bool set_input(const device *d) {
  dqnn_tensor input;
  (void)dqnn_input(d->it, 0, &input);
  uint32_t items = input.bytes / (input.dtype == DQNN_F32 ? 4 : 1);
  if (d->received != d->expected || (d->received != input.bytes && d->received != items)) {
    return false;
  }
  if (d->received == input.bytes) {
    memcpy(input.data, d->bytes, input.bytes);
    for (uint32_t i = 0; i < items && (input.sample_scale != 0 || input.u8 != 0); ++i) {
      ((uint8_t *)input.data)[i] ^= SIGN;
    }
    return true;
  }
  for (uint32_t i = 0; i < items; ++i) {
    ((float *)input.data)[i] = d->bytes[i];
  }
  return true;
}

static void put_results(const device *d) {
  dqnn_tensor output;
  (void)dqnn_output(d->it, 0, &output);
  uint32_t items = output.bytes / (output.dtype == DQNN_F32 ? 4 : 1);
  put("m-results-[");
  for (uint32_t i = 0; i < items; ++i) {
    float value = output.dtype == DQNN_F32
                      ? ((const float *)output.data)[i]
                      : output.scale * (float)(((const int8_t *)output.data)[i] - output.zero_point);
    put(i > 0 ? "," : "");
    put_real(value);
  }
  put("]\r\n");
}

static void run(device *d, uint32_t times) {
  for (uint32_t i = 0; i < times; ++i) {
    (void)set_input(d); /* the arena is used up by each run */
    (void)dqnn_invoke(d->it);
    look_at_clock(d);
  }
}

static void put_mark(const char *what, uint32_t times) {
  put(what);
  put_number(times);
  put("\r\n");
}

static void on_infer(device *d, const char *text) {
  uint32_t times = number_at(&text, 1), warmups = number_at(&text, 10);
  if (d->it == NULL) {
    fail(dqnn_status_str(d->status));
  } else if (times == 0 || !set_input(d)) {
    fail(times == 0 ? "no inference was asked for" : "the bytes that were loaded are not those of an input");
  } else {
    put_mark("m-warmup-start-", warmups);
    run(d, warmups);
    put("m-warmup-done\r\n");
    put_mark("m-infer-start-", times);
    put_lap(d);
    run(d, times);
    put_lap(d);
    put("m-infer-done\r\n");
    put_results(d);
  }
}

/* ---- commands ---- */

static void on_line(device *d, const char *line) {
  const char *rest;
  if (after(line, "name") != NULL) {
    put("m-name-dut-[");
    put(port_board());
    put("]\r\n");
  } else if (after(line, "profile") != NULL) {
    put("m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[");
    put(d->it != NULL ? d->model.name : "none");
    put("]\r\n");
  } else if (after(line, "timestamp") != NULL) {
    put_lap(d);
  } else if ((rest = after(line, "db")) != NULL) {
    on_db(d, rest + (*rest == ' '));
  } else if ((rest = after(line, "infer")) != NULL) {
    on_infer(d, rest);
  } else if (after(line, "results") != NULL && d->it != NULL) {
    put_results(d);
  } else if (line[0] != 0) {
    fail("unknown command");
  }
  put("m-ready\r\n");
}

/* A line too long is answered as one that nobody knows. */
static void take(device *d, char byte) {
  static char line[LINE_BYTES];
  static uint32_t count;
  if (byte == '%') {
    line[count < LINE_BYTES ? count : 0] = 0;
    bool whole = count < LINE_BYTES;
    count = 0;
    on_line(d, whole ? line : "?");
  } else if (byte != '\r' && byte != '\n') {
    if (count < LINE_BYTES) {
      line[count] = byte;
      ++count;
    }
  }
}

static void load_model(device *d) {
  uint32_t bytes = 0, memory_bytes = 0;
  const void *file = port_factory(&bytes);
  uint8_t *memory = port_memory(&memory_bytes);
  const dqnn_options options = {
      .kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count, .segments = &dqnn_strips};
  d->status = dqnn_init(&d->it, memory, memory_bytes, file, bytes, &options, NULL);
  if (d->status == DQNN_OK) {
    (void)dqnn_model_of(d->it, &d->model);
  }
  uint32_t used = d->model.arena_bytes + d->model.state_bytes;
  d->bytes = memory + used;
  d->room = memory_bytes - used;
}

int main(void) {
  static device d;
  uint8_t bytes[16];
  port_start();
  load_model(&d);
  d.since = port_clock();
  for (;;) { /* nothing unasked: the runner takes each "m-ready" for the end of an answer */
    uint32_t count = port_read(bytes, sizeof bytes);
    for (uint32_t i = 0; i < count; ++i) {
      take(&d, (char)bytes[i]);
    }
    look_at_clock(&d);
    if (count == 0) {
      port_idle();
    }
  }
}
