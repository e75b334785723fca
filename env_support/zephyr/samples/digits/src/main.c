/* Recognizes the digit of picture.h and prints it. */
#include <zephyr/kernel.h>

#include "digits.h"
#include "picture.h"

int main(void) {
  float scores[MODEL_OUTPUT0_ELEMENTS];
  printk("It is a %d\n", digits_classify(picture, scores));
  return 0;
}
