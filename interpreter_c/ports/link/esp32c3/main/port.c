/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* ESP32-C3: port.h over ESP-IDF. Flash is read through the cache, which the partition API keeps true when it writes.
 * Not run on silicon. */
#include "port.h"

#include "driver/usb_serial_jtag.h"
#include "esp_cpu.h"
#include "esp_partition.h"
#include "esp_system.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"

enum {
  MEMORY_BYTES = 160 * 1024,
  BUFFER_BYTES = 2048, /* of the driver, each way */
  PARTITION_TYPE = 0x40,
  PARTITION_MODEL = 0x01,
  PARTITION_SLOTS = 0x02,
  SECTOR = 4096,
  UNIT = 32, /* a record of the journal; flash encryption wants 16 */
  DRAIN_MS = 50
};

int dqnn_main(void);

void app_main(void) {
  (void)dqnn_main();
}

void port_start(void) {
  usb_serial_jtag_driver_config_t config = {.tx_buffer_size = BUFFER_BYTES, .rx_buffer_size = BUFFER_BYTES};
  ESP_ERROR_CHECK(usb_serial_jtag_driver_install(&config));
}

uint32_t port_read(uint8_t *data, uint32_t bytes) {
  int count = usb_serial_jtag_read_bytes(data, bytes, 0);
  return count > 0 ? (uint32_t)count : 0;
}

void port_write(const uint8_t *data, uint32_t bytes) {
  while (bytes > 0) {
    int count = usb_serial_jtag_write_bytes(data, bytes, portMAX_DELAY);
    if (count <= 0) {
      return; /* nobody listens: the other side asks again */
    }
    data += count;
    bytes -= (uint32_t)count;
  }
}

/* Other tasks, among them the one that feeds the watchdog. */
void port_idle(void) {
  vTaskDelay(1);
}

uint32_t port_clock(void) {
  return (uint32_t)esp_cpu_get_cycle_count();
}

uint32_t port_clock_hz(void) {
  return CONFIG_ESP_DEFAULT_CPU_FREQ_MHZ * 1000000u;
}

_Noreturn void port_reset(void) {
  (void)usb_serial_jtag_wait_tx_done(pdMS_TO_TICKS(DRAIN_MS));
  esp_restart();
}

const char *port_core(void) {
  return "riscv32";
}

const char *port_board(void) {
  return "esp32c3";
}

void *port_memory(uint32_t *bytes) {
  static _Alignas(16) uint8_t memory[MEMORY_BYTES];
  *bytes = sizeof memory;
  return memory;
}

/* ---- flash ---- */

/* A partition as memory, NULL if there is none. */
static const void *map(const esp_partition_t *partition) {
  const void *memory = NULL;
  esp_partition_mmap_handle_t handle;
  if (partition == NULL ||
      esp_partition_mmap(partition, 0, partition->size, ESP_PARTITION_MMAP_DATA, &memory, &handle) != ESP_OK) {
    return NULL;
  }
  return memory;
}

static const esp_partition_t *find(int subtype) {
  return esp_partition_find_first((esp_partition_type_t)PARTITION_TYPE, (esp_partition_subtype_t)subtype, NULL);
}

const void *port_factory(uint32_t *bytes) {
  const esp_partition_t *partition = find(PARTITION_MODEL);
  *bytes = partition != NULL ? partition->size : 0;
  return map(partition);
}

static bool on_erase(void *context, uint32_t offset) {
  return esp_partition_erase_range(context, offset, SECTOR) == ESP_OK;
}

static bool on_program(void *context, uint32_t offset, const void *data, uint32_t bytes) {
  return esp_partition_write(context, offset, data, bytes) == ESP_OK;
}

const dqnn_store_config *port_slots(void) {
  static dqnn_store_config config;
  const esp_partition_t *partition = find(PARTITION_SLOTS);
  if (config.base == NULL && partition != NULL) {
    config = (dqnn_store_config){
        .context = (void *)partition,
        .base = map(partition),
        .slot_offset = {0, partition->size / 2},
        .slot_bytes = partition->size / 2,
        .erase_bytes = SECTOR,
        .program_bytes = UNIT,
        .erased = 0xFF,
        .erase = on_erase,
        .program = on_program,
    };
  }
  return config.base != NULL ? &config : NULL;
}
