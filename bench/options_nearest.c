/*
 * "Did you mean": the edit distance in which two neighbours swapped count as one error, since that
 * is how words are mistyped.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/options_table.h"

#define WORD_MAX 64

static int min3(int a, int b, int c) {
  int least = a < b ? a : b;
  return least < c ? least : c;
}

/* Optimal string alignment of two words of at most WORD_MAX characters. */
static int distance(const char *a, const char *b) {
  size_t n = strnlen(a, WORD_MAX), m = strnlen(b, WORD_MAX);
  int rows[3][WORD_MAX + 1]; /* the two rows before and this one, by i % 3 */
  for (size_t j = 0; j <= m; j++) rows[0][j] = (int)j;
  for (size_t i = 1; i <= n; i++) {
    int *row = rows[i % 3];
    const int *above = rows[(i - 1) % 3], *twice_above = rows[(i + 1) % 3];
    row[0] = (int)i;
    for (size_t j = 1; j <= m; j++) {
      int change = above[j - 1] + (a[i - 1] != b[j - 1]);
      row[j] = min3(above[j] + 1, row[j - 1] + 1, change);
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped && twice_above[j - 2] + 1 < row[j]) row[j] = twice_above[j - 2] + 1;
    }
  }
  return rows[n % 3][m];
}

const char *options_nearest(const char *typed, const char *const *candidates) {
  size_t length = strlen(typed);
  if (length < 2) return NULL;
  const char *nearest = NULL;
  int least = length < 6 ? 2 : 1 + (int)length / 3;
  for (int i = 0; candidates[i]; i++) {
    /* The beginning of a word is as good as a letter wrong. */
    int d = strncmp(candidates[i], typed, length) == 0 ? 1 : distance(typed, candidates[i]);
    if (d > least || (nearest && d == least)) continue;
    nearest = candidates[i];
    least = d;
  }
  return nearest;
}
