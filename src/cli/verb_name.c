/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guessing which verb was meant.
 *
 * Idea: the edit distance (insertions, deletions, replacements) between what was typed and each
 * name, computed row by row. A guess that changes more than half of the name would be noise, so at
 * most two mistakes are forgiven. Example: "rum" is one away from "run"; "optoins" two from
 * "options".
 *
 * Tested by tests/unit/cli_names.c.
 */
#include "cli/verb_name.h"

#include <stdint.h>
#include <string.h>

#define MAX_LENGTH   31
#define MAX_MISTAKES 2

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

static size_t edit_distance(const char *a, const char *b)
{
	size_t row[MAX_LENGTH + 1];
	size_t b_length = strlen(b);

	if (strlen(a) > MAX_LENGTH || b_length > MAX_LENGTH)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_length; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t above = row[j];

			row[j] =
				least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[b_length];
}

const char *verb_nearest(const char *text, const char *const *names, size_t nr_names)
{
	size_t best = MAX_MISTAKES + 1;
	const char *answer = NULL;

	for (size_t i = 0; i < nr_names; i++) {
		size_t distance = edit_distance(text, names[i]);

		if (distance < best && distance * 2 <= strlen(names[i])) {
			best = distance;
			answer = names[i];
		}
	}
	return answer;
}
