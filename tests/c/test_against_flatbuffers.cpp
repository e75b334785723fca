/* Our FlatBuffer reader against the verifier of the C++ library, on files with random damage: what ours accepts, the
 * library accepts too, and what the library accepts ours refuses only for reasons of its own (16-byte alignment of the
 * data, limits of dqnn_config.h). Built if the library is there. */
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "dqnn_generated.h"

extern "C" {
#include "blob.h"
}

namespace {

constexpr int kTrials = 20000; /* per file */

bool theirs(const blob &b) {
  const dqnn_prefix *prefix = reinterpret_cast<const dqnn_prefix *>(b.bytes);
  flatbuffers::Verifier verifier(b.bytes + prefix->payload_offset, b.size - prefix->payload_offset);
  return verifier.VerifyBuffer<dqnn::schema::Model>("DQN1");
}

bool ours(const blob &b) {
  dqnn_options options = {};
  options.flags = DQNN_FLAG_SKIP_PAYLOAD_CHECKSUM;
  dqnn_model model;
  return dqnn_model_open(&model, b.bytes, b.size, &options) == DQNN_OK;
}

uint32_t u16_at(const uint8_t *p) {
  return static_cast<uint32_t>(p[0] | p[1] << 8);
}

/* The library lets fields lie outside their table, as long as they are inside the buffer. */
bool table_is_loose(const uint8_t *end, const void *table, const std::vector<uint32_t> &sizes) {
  const uint8_t *t = static_cast<const uint8_t *>(table);
  const uint8_t *v = t - flatbuffers::ReadScalar<int32_t>(t);
  const uint32_t vtable_bytes = u16_at(v), table_bytes = u16_at(v + 2);
  bool loose = vtable_bytes < 4 || table_bytes < 4 || t + table_bytes > end;
  for (uint32_t slot = 0; slot < sizes.size() && 4 + 2 * slot < vtable_bytes; ++slot) {
    const uint32_t offset = u16_at(v + 4 + 2 * slot);
    loose = loose || (offset != 0 && (offset < 4 || offset + sizes[slot] > table_bytes));
  }
  return loose;
}

bool is_loose(const uint8_t *end, const dqnn::schema::Model *model) {
  using namespace dqnn::schema;
  const std::vector<uint32_t> port = {2, 4};
  const std::vector<uint32_t> node = {2,
                                      4,
                                      2,
                                      4,
                                      4,
                                      4,
                                      4,
                                      sizeof(ConvParams),
                                      sizeof(ChannelParams),
                                      sizeof(PoolParams),
                                      sizeof(UnaryParams),
                                      sizeof(BinaryParams),
                                      sizeof(ConcatParams),
                                      sizeof(PadParams),
                                      sizeof(ViewParams),
                                      sizeof(FixedBinaryParams),
                                      sizeof(ReduceParams),
                                      sizeof(SoftmaxParams),
                                      sizeof(GatherParams),
                                      2,
                                      2};
  std::vector<uint32_t> root(10, 4);
  root.push_back(2);
  bool loose = table_is_loose(end, model, root);
  for (uint32_t i = 0; !loose && model->nodes() != nullptr && i < model->nodes()->size(); ++i) {
    loose = table_is_loose(end, model->nodes()->Get(i), node);
  }
  for (const auto *ports : {model->inputs(), model->outputs()}) {
    for (uint32_t i = 0; !loose && ports != nullptr && i < ports->size(); ++i) {
      loose = table_is_loose(end, ports->Get(i), port);
    }
  }
  return loose;
}

/* Reasons of our own to refuse a buffer that the library finds sound. */
bool stricter(const blob &b) {
  const dqnn_prefix *prefix = reinterpret_cast<const dqnn_prefix *>(b.bytes);
  const uint8_t *payload = b.bytes + prefix->payload_offset;
  const dqnn::schema::Model *model = dqnn::schema::GetModel(payload);
  const bool aligned = model->data() == nullptr || (model->data()->Data() - payload) % 16 == 0;
  const bool many = (model->nodes() != nullptr && model->nodes()->size() > DQNN_MAX_NODES) ||
                    (model->inputs() != nullptr && model->inputs()->size() > DQNN_MAX_PORTS) ||
                    (model->outputs() != nullptr && model->outputs()->size() > DQNN_MAX_PORTS);
  return !aligned || many || is_loose(b.bytes + b.size, model);
}

void damage(const blob &b, std::mt19937 &random) {
  const uint32_t first = sizeof(dqnn_prefix), count = 1 + random() % 3;
  for (uint32_t i = 0; i < count; ++i) {
    uint8_t *at = b.bytes + first + random() % (b.size - first - 4);
    const unsigned long values[] = {random(), random() % 256, random() % b.size, 0, 0xFFFFFFFFu};
    const uint32_t value = static_cast<uint32_t>(values[random() % 5]);
    std::memcpy(at, &value, 1 + random() % 4);
  }
}

struct Tally {
  int both = 0, neither = 0, stricter = 0, wrong = 0;
};

Tally compare(const blob &original, std::mt19937 &random) {
  Tally tally;
  for (int i = 0; i < kTrials; ++i) {
    blob b = blob_copy(original.bytes, original.size);
    damage(b, random);
    const bool we = ours(b), they = theirs(b);
    if (we == they) {
      ++(we ? tally.both : tally.neither);
    } else if (!we && stricter(b)) {
      ++tally.stricter;
    } else {
      ++tally.wrong;
      std::printf("trial %d: ours %d, theirs %d\n", i, we, they);
    }
    blob_free(b);
  }
  return tally;
}

}  // namespace

int main(int argc, char **argv) {
  std::mt19937 random(1);
  bool good = true;
  for (int i = 1; i < argc; ++i) {
    blob b = blob_load("", argv[i]);
    const Tally t = compare(b, random);
    std::printf("%s: %d accepted by both, %d refused by both, %d by ours alone as it should, %d wrong\n", argv[i],
                t.both, t.neither, t.stricter, t.wrong);
    good = good && t.wrong == 0 && t.both > 0 && t.neither > 0;
    blob_free(b);
  }
  return good ? 0 : 1;
}
