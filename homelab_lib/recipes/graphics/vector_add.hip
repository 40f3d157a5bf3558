// Adds two vectors on the first card that there is, and compares every sum with the processor's.
//
// Whole numbers below 2^24 are exact in floats: a sum is right or wrong, nothing is nearly so.
// Source: ROCm/hip, include/hip/hip_runtime_api.h.

#include <hip/hip_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

constexpr int kCount = 1 << 20;
constexpr int kThreads = 256;

__global__ void add(const float* a, const float* b, float* sums) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < kCount) sums[i] = a[i] + b[i];
}

void must(hipError_t error, const char* what) {
  if (error == hipSuccess) return;
  std::printf("Test FAILED: %s: %s\n", what, hipGetErrorString(error));
  std::exit(1);
}

int main() {
  int cards = 0;
  must(hipGetDeviceCount(&cards), "ROCm finds no card that it may use; see who may open /dev/kfd and "
                                    "/dev/dri/renderD*, and dmesg on the node");
  hipDeviceProp_t card;
  must(hipGetDeviceProperties(&card, 0), "what the card is");

  std::vector<float> a(kCount), b(kCount), sums(kCount);
  for (int i = 0; i < kCount; ++i) {
    a[i] = i;
    b[i] = 3 * i;
  }
  constexpr size_t bytes = kCount * sizeof(float);
  float *on_card_a, *on_card_b, *on_card_sums;
  must(hipMalloc(reinterpret_cast<void**>(&on_card_a), bytes), "memory of the card");
  must(hipMalloc(reinterpret_cast<void**>(&on_card_b), bytes), "memory of the card");
  must(hipMalloc(reinterpret_cast<void**>(&on_card_sums), bytes), "memory of the card");
  must(hipMemcpy(on_card_a, a.data(), bytes, hipMemcpyHostToDevice), "copying to the card");
  must(hipMemcpy(on_card_b, b.data(), bytes, hipMemcpyHostToDevice), "copying to the card");
  must(hipMemset(on_card_sums, 0xff, bytes), "clearing the card's memory");  // no number at all
  add<<<kCount / kThreads, kThreads>>>(on_card_a, on_card_b, on_card_sums);
  must(hipGetLastError(), "starting the sums on the card");
  must(hipDeviceSynchronize(), "the sums on the card");
  must(hipMemcpy(sums.data(), on_card_sums, bytes, hipMemcpyDeviceToHost), "copying back");

  int wrong = 0, first = 0;
  for (int i = kCount - 1; i >= 0; --i) {
    if (sums[i] == a[i] + b[i]) continue;
    ++wrong;
    first = i;
  }
  if (wrong) {
    std::printf("Test FAILED: %d of %d sums are wrong, the first %g + %g = %g; ", wrong, kCount,
                a[first], b[first], sums[first]);
    std::printf("trust no answer of this card, and look for its faults in dmesg on the node\n");
    return 1;
  }
  std::printf("Test PASSED: %d sums by %s, %s\n", kCount, card.name, card.gcnArchName);
}
