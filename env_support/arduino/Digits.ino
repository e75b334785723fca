// Recognizes the digit of picture.h and prints it on the serial port, again and again.
#include <dqnn.h>

#include "digits.h"
#include "picture.h"

void setup() {
  Serial.begin(115200);
}

void loop() {
  float scores[MODEL_OUTPUT0_ELEMENTS];
  unsigned long start = micros();
  int digit = digits_classify(picture, scores);
  unsigned long end = micros();
  Serial.print("It is a ");
  Serial.print(digit);
  Serial.print(", microseconds: ");
  Serial.println(end - start);
  delay(1000);
}
